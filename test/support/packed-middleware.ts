import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import type { AuthorizationServer } from './server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const run = promisify(execFile);

/** The frameworks that there is an example for. */
export const frameworks = ['koa', 'express', 'fetch'] as const;

/** A project as somebody has it who installed the packed package. */
export interface Project {
  path: string;
  /** What the packed package says of itself. */
  manifest: Record<string, unknown>;
  /** Starts an example as that project would; gives its origin. */
  start(
    framework: (typeof frameworks)[number],
    server: AuthorizationServer,
    audience: string,
  ): Promise<string>;
  /** Compiler errors of the examples against the package's own types. */
  typeErrors(): Promise<string>;
  remove(): Promise<void>;
}

/** Builds, packs and installs the package, beside what the examples import. */
export async function installedProject(): Promise<Project> {
  const folder = await temporaryDirectory();
  const at = (...names: string[]) => path.join(folder.path, ...names);
  await run(process.execPath, [path.join(root, 'tools/build-package.ts'), at('built')], {
    cwd: root,
  });
  const packing = { cwd: at('built'), env: { ...process.env, npm_config_cache: at('cache') } };
  const { stdout } = await run('npm', ['pack', '--json', '--offline'], packing);
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  await mkdir(at('node_modules/countersign'), { recursive: true });
  await run('tar', [
    ...['-xzf', at('built', packed?.filename ?? '')],
    ...['-C', at('node_modules/countersign'), '--strip-components=1'],
  ]);
  for (const name of ['jose', 'koa', 'express', '@types']) {
    await symlink(path.join(root, 'node_modules', name), at('node_modules', name));
  }
  await cp(path.join(root, 'examples/middleware'), folder.path, { recursive: true });
  await writeFile(at('package.json'), '{ "type": "module" }');
  const manifest = require(at('node_modules/countersign/package.json')) as Record<string, unknown>;
  const stops: (() => Promise<void>)[] = [];

  return {
    path: folder.path,
    manifest,

    async start(framework, server, audience) {
      const { origin, stop } = await startExample(at, { framework, server, audience });
      stops.push(stop);
      return origin;
    },

    async typeErrors() {
      const compilerOptions = {
        ...{ target: 'es2024', lib: ['es2024'], module: 'nodenext', types: ['node'] },
        ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false },
        ...{ allowImportingTsExtensions: true },
      };
      const files = frameworks.map((name) => `${name}.ts`);
      await writeFile(at('tsconfig.json'), JSON.stringify({ compilerOptions, files }));
      const tsc = require.resolve('typescript/bin/tsc');
      const failed = (error: unknown) => (error as { stdout: string }).stdout;
      return run(process.execPath, [tsc, '-p', folder.path]).then(() => '', failed);
    },

    async remove() {
      await Promise.all(stops.map((stop) => stop()));
      await folder.remove();
    },
  };
}

async function startExample(
  at: (...names: string[]) => string,
  {
    framework,
    server,
    audience,
  }: { framework: string; server: AuthorizationServer; audience: string },
) {
  const { server: own, authority } = server.certificates;
  await mkdir(at('keys'), { recursive: true });
  await writeFile(at('keys/server.crt'), own.certificatePem);
  await writeFile(at('keys/server.key'), own.privateKeyPem);
  await writeFile(at('keys/ca.crt'), authority.certificatePem);
  const port = String(await freePort());
  const child = spawn(process.execPath, [`${framework}.ts`, server.issuer, audience, port], {
    cwd: at(),
    env: { NODE_EXTRA_CA_CERTS: at('keys/ca.crt') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const said = once(createInterface(child.stdout), 'line');
  if ((await Promise.race([said, closed]))[0] !== 'listening') throw new Error('no example');
  return {
    origin: `https://localhost:${port}`,
    stop: async () => {
      child.kill();
      await closed;
    },
  };
}
