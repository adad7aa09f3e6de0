#!/usr/bin/env node
import { systemClock } from '../clock.ts';
import { keepCompiledCode } from '../startup/compile-cache.ts';

keepCompiledCode();
const { runCommandLine } = await import('./program.ts');

// `| head` closes the pipe early; whoever reads no further is not told an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  input: process.stdin,
  output: process.stdout,
  errors: process.stderr,
  clock: systemClock,
});
