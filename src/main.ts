import { keepCompiledCode } from './startup/compile-cache.ts';

keepCompiledCode();
const { runServer } = await import('./startup/run-server.ts');

process.exitCode = await runServer(process.env, {
  log: process.stdout,
  errors: process.stderr,
  announce: (text) => process.stdout.write(text),
});
