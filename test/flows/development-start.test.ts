import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { decodeJwt } from 'jose';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { startProgram } from '../support/program.ts';
import type { Program } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const nobody = 65534;
const ready = /Stop with Ctrl-C/;

/** A newcomer's machine: folders and ports of its own. */
interface Machine {
  directory: TemporaryDirectory;
  issuer: string;
  mtlsOrigin: string;
  keys: string;
  data: string;
  environment: Record<string, string>;
  start(uid?: number): Program;
}

async function newMachine(): Promise<Machine> {
  const directory = await temporaryDirectory();
  const [port, mtlsPort, operationsPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const issuer = `https://localhost:${String(port)}`;
  const mtlsOrigin = `https://localhost:${String(mtlsPort)}`;
  // A space and a quote: the printed commands must bear them.
  const keys = path.join(directory.path, "new comer's", 'keys');
  const data = path.join(directory.path, 'data');
  const environment = {
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin,
    COUNTERSIGN_PORT: String(port),
    COUNTERSIGN_MTLS_PORT: String(mtlsPort),
    COUNTERSIGN_OPERATIONS_PORT: String(operationsPort),
    COUNTERSIGN_KEYS_DIRECTORY: keys,
    COUNTERSIGN_DATA_DIRECTORY: data,
    TMPDIR: directory.path,
  };
  return {
    directory,
    issuer,
    mtlsOrigin,
    keys,
    data,
    environment,
    start: (uid) => startProgram({ environment, ...(uid === undefined ? {} : { uid }) }),
  };
}

/** The line after a heading of the banner. */
function printed(program: Program, heading: string): string {
  const lines = program.stdout().split('\n');
  return lines[lines.findIndex((line) => line.startsWith(heading)) + 1] ?? '';
}

const facts = (program: Program) => ({
  password: /password (\S+)/.exec(program.stdout())?.[1] ?? '',
  database: /Database +(.+)/.exec(program.stdout())?.[1] ?? '',
});

const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** Runs a printed command exactly as it stands; on a machine without curl, what it says by another client. */
async function paste(command: string): Promise<Record<string, unknown>> {
  const text = hasCurl
    ? (await run('sh', ['-c', `${command} --silent --show-error`])).stdout
    : await withoutCurl(command);
  return JSON.parse(text) as Record<string, unknown>;
}

async function withoutCurl(command: string): Promise<string> {
  const { stdout } = await run('sh', ['-c', `printf '%s\\0' ${command}`]);
  const [, ...words] = stdout.split('\0').slice(0, -1);
  const url = words.at(-1) ?? '';
  const valuesOf = (flag: string) => words.filter((_, i) => words[i - 1] === flag);
  const [ca, cert, key] = await Promise.all(
    ['--cacert', '--cert', '--key'].map(async (flag) => {
      const [name] = valuesOf(flag);
      return name === undefined ? undefined : readFile(name, 'utf8');
    }),
  );
  const data = valuesOf('-d');
  const dispatcher = new Agent({ connect: { ca: ca ?? '', cert: cert ?? '', key: key ?? '' } });
  const init =
    data.length === 0 ? {} : { method: 'POST', body: new URLSearchParams(data.join('&')) };
  const text = await (await undiciFetch(url, { ...init, dispatcher })).text();
  await dispatcher.close();
  return text;
}

async function kidsOf(machine: Machine): Promise<unknown[]> {
  const agent = new Agent({ connect: { ca: await readFile(path.join(machine.keys, 'ca.crt')) } });
  const answer = await undiciFetch(`${machine.issuer}/jwks`, { dispatcher: agent });
  const { keys } = (await answer.json()) as { keys: { kid: unknown }[] };
  await agent.close();
  return keys.map(({ kid }) => kid);
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** Whether an embedded server still runs in the folder that the banner named. */
function hasDatabaseServer(program: Program): boolean {
  return filesIn(facts(program).database).some((name) => name.endsWith('postmaster.pid'));
}

describe('The first start on a bare machine', () => {
  let machine: Machine;
  let program: Program;

  beforeAll(async () => {
    machine = await newMachine();
    program = machine.start();
    await program.says(ready);
  }, 90_000);

  afterAll(async () => {
    await program.stop();
    await machine.directory.remove();
  }, 60_000);

  it('creates what it lacks, for nobody else to read', () => {
    const names = filesIn(machine.keys).map((name) => path.relative(machine.keys, name));
    for (const name of [
      'ca.crt',
      'server.crt',
      'server.key',
      'tpp.crt',
      'tpp.key',
      'secrets.json',
    ]) {
      expect(names).toContain(name);
    }
    const signing = names.filter((name) => /^signing\/[\w-]+\.json$/.test(name));
    expect(signing, 'a key each for RS256, PS256 and ES256').toHaveLength(3);
    for (const name of filesIn(machine.keys)) {
      expect([name, (statSync(name).mode & 0o777).toString(8)]).toEqual([name, '600']);
    }
  });

  it('prints a command for discovery that works as it stands', async () => {
    const body = await paste(printed(program, '1.'));
    expect(body).toMatchObject({
      issuer: machine.issuer,
      mtls_endpoint_aliases: { token_endpoint: `${machine.mtlsOrigin}/token` },
    });
  });

  it('prints a command for a token that works as it stands', async () => {
    const command = printed(program, '2.');
    expect(command).toContain('--cert ');
    const body = await paste(command);
    expect(body).toMatchObject({ token_type: 'Bearer', scope: 'accounts' });
    expect(decodeJwt(String(body['access_token']))).toMatchObject({
      iss: machine.issuer,
      sub: 'sample-tpp',
      cnf: { 'x5t#S256': expect.any(String) as unknown },
    });
  });

  it('prints an address that leads to the login page', async () => {
    const ca = await readFile(path.join(machine.keys, 'ca.crt'));
    const agent = new Agent({ connect: { ca } });
    const first = await undiciFetch(printed(program, '3.'), {
      dispatcher: agent,
      redirect: 'manual',
    });
    const cookie = first.headers.getSetCookie().map((line) => line.split(';', 1).join());
    const login = new URL(first.headers.get('location') ?? '', machine.issuer);
    const page = await undiciFetch(login, {
      dispatcher: agent,
      headers: { cookie: cookie.join('; ') },
    });
    expect([first.status, page.status]).toEqual([303, 200]);
    expect(await page.text()).toContain('name="password"');
    await agent.close();
  });

  it('is not disturbed by a second start, which says what is wrong', async () => {
    const before = filesIn(machine.keys).map((name) => [name, statSync(name).mtimeMs]);
    const second = machine.start();
    expect(await second.ended).toEqual({ code: 1, signal: null });
    expect(second.stdout()).not.toMatch(ready);
    expect(second.stderr()).toMatch(/already running.*use that one/s);
    expect(second.stderr()).not.toMatch(/\n {4}at /);
    expect(filesIn(machine.keys).map((name) => [name, statSync(name).mtimeMs])).toEqual(before);
    expect(await paste(printed(program, '2.'))).toHaveProperty('access_token');
  });
});

describe('The next start', () => {
  it('finds everything again after a stop and after a crash', { timeout: 120_000 }, async () => {
    const machine = await newMachine();
    try {
      const first = machine.start();
      await first.says(ready);
      const kids = await kidsOf(machine);
      expect(hasDatabaseServer(first)).toBe(true);
      expect(await first.stop()).toEqual({ code: 0, signal: null });
      expect(hasDatabaseServer(first)).toBe(false);

      const second = machine.start();
      await second.says(ready);
      expect(await kidsOf(machine)).toEqual(kids);
      expect(facts(second)).toEqual(facts(first));
      await second.stop('SIGKILL');

      const third = machine.start();
      await third.says(ready);
      expect(await kidsOf(machine)).toEqual(kids);
      expect(facts(third)).toEqual(facts(first));
      expect(await paste(printed(third, '2.'))).toHaveProperty('access_token');
      expect(await third.stop('SIGINT')).toEqual({ code: 0, signal: null });
      expect(hasDatabaseServer(third)).toBe(false);
    } finally {
      await machine.directory.remove();
    }
  });
});

describe.runIf(isRoot)('Whoever starts it', () => {
  it('may be an ordinary user', { timeout: 90_000 }, async () => {
    const machine = await newMachine();
    await chown(machine.directory.path, nobody, nobody);
    const program = machine.start(nobody);
    try {
      await program.says(ready);
      expect(await paste(printed(program, '2.'))).toHaveProperty('access_token');
      expect(await program.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await program.stop('SIGKILL');
      await machine.directory.remove();
    }
  });

  it('may be root in a folder that nobody else can enter', { timeout: 90_000 }, async () => {
    const machine = await newMachine();
    const closed = path.join(machine.directory.path, 'closed');
    await mkdir(closed);
    await chmod(closed, 0o700);
    const environment = {
      ...machine.environment,
      COUNTERSIGN_DATA_DIRECTORY: path.join(closed, 'data'),
      COUNTERSIGN_KEYS_DIRECTORY: path.join(closed, 'keys'),
    };
    const program = startProgram({ environment });
    try {
      await program.says(ready);
      // Postgres must not run as root, and nobody else can enter: its data are elsewhere, and the log says where.
      const elsewhere = /\/\S*countersign-embedded\/[\da-f]{12}/.exec(program.stdout())?.[0];
      expect(elsewhere).toBeDefined();
      machine.directory.alsoRemove(elsewhere ?? '');
      expect(await paste(printed(program, '2.'))).toHaveProperty('access_token');
      expect(await program.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await program.stop('SIGKILL');
      await machine.directory.remove();
    }
  });
});
