import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { citiesFile } from '../support/cities.ts';
import { commandLine, commandLineOn } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { testDatabase } from '../support/database.ts';
import { mmdbFile } from '../support/mmdb.ts';

/** The migration that makes the first tables. */
const first = '20261122000000_first';

let folder: CommandLine;

beforeAll(async () => {
  folder = await commandLine();
});
afterAll(() => folder.remove());

async function check(environment: Record<string, string>) {
  const cli = await commandLine(environment);
  const result = await cli.run(['configuration', 'check', '--json']);
  await cli.remove();
  return { ...result, problems: result.json()['problems'] as string[] };
}

describe('countersign configuration check', () => {
  it('finds nothing wrong with development', async () => {
    expect(await check({})).toMatchObject({ exitCode: 0, problems: [], errors: '' });
  });

  it('looks at the policy of the edge', async () => {
    const file = path.join(folder.environment['HOME'] ?? '', 'edge.json');
    await writeFile(file, JSON.stringify({ proxy: 'nginx', routes: [{ path: '/a' }] }));
    const { exitCode, problems } = await check({ COUNTERSIGN_EDGE_POLICY_FILE: file });
    expect(exitCode).toBe(78);
    expect(problems).toEqual([expect.stringContaining('routes.0.scopes')]);
  });

  it('looks at the database of places', async () => {
    const home = folder.environment['HOME'] ?? '';
    const files = {
      'text.mmdb': Buffer.from('no database'),
      'countries.mmdb': mmdbFile([['192.0.2.0/24', { country: { iso_code: 'DE' } }]]),
      'cities.mmdb': citiesFile(),
    };
    const found: Record<string, string[]> = {};
    for (const [name, bytes] of Object.entries(files)) {
      await writeFile(path.join(home, name), bytes);
    }
    for (const name of [...Object.keys(files), 'absent.mmdb', '']) {
      const file = path.join(home, name);
      found[name] = (await check({ COUNTERSIGN_GEOIP_DATABASE_FILE: file })).problems;
    }
    const refused = (name: string, reason: string) => [
      `COUNTERSIGN_GEOIP_DATABASE_FILE ${reason}: ${path.join(home, name)}`,
    ];
    expect(found).toEqual({
      'text.mmdb': refused('text.mmdb', 'is no MaxMind database (.mmdb), or not a whole one'),
      'countries.mmdb': refused(
        'countries.mmdb',
        'is a database without places (Test-City); give one of cities',
      ),
      'cities.mmdb': [],
      'absent.mmdb': refused('absent.mmdb', "can't be read"),
      '': refused('', "can't be read"),
    });
  });

  it('reads no database of places out of a pipe or a device, and none that is too large', async () => {
    const home = folder.environment['HOME'] ?? '';
    const pipe = path.join(home, 'pipe.mmdb');
    await promisify(execFile)('mkfifo', [pipe]);
    const large = path.join(home, 'large.mmdb');
    await writeFile(large, '');
    await truncate(large, 1_073_741_825);
    const found: Record<string, string[]> = {};
    for (const file of [pipe, '/dev/zero', large]) {
      found[file] = (await check({ COUNTERSIGN_GEOIP_DATABASE_FILE: file })).problems;
    }
    const variable = 'COUNTERSIGN_GEOIP_DATABASE_FILE';
    expect(found).toEqual({
      [pipe]: [`${variable} is no ordinary file: ${pipe}`],
      '/dev/zero': [`${variable} is no ordinary file: /dev/zero`],
      [large]: [`${variable} is larger than 1 GiB: ${large}`],
    });
  });

  it('names every fault of the rate limits by itself, and the file once', async () => {
    const file = path.join(folder.environment['HOME'] ?? '', 'limits.json');
    const rule = { name: 'X', groups: ['token'], per: 'client', algorithm: 'fixed-window' };
    await writeFile(file, JSON.stringify({ rules: [{ ...rule, limit: 0, windowSeconds: 1 }] }));
    const environment = { COUNTERSIGN_RATE_LIMIT_POLICY: file };
    const { exitCode, problems, errors } = await check(environment);
    expect(exitCode).toBe(78);
    const begin = `COUNTERSIGN_RATE_LIMIT_POLICY ${file}: `;
    expect(problems).toEqual([
      expect.stringContaining(`${begin}rules.0.name: must be a word`),
      expect.stringContaining(`${begin}rules.0.limit: `),
    ]);
    expect(errors).toBe(
      ['The configuration is not valid:', ...problems.map((line) => `  - ${line}`), ''].join('\n'),
    );
    const absent = await check({ COUNTERSIGN_RATE_LIMIT_POLICY: `${file}.not` });
    expect(absent.problems).toEqual([`COUNTERSIGN_RATE_LIMIT_POLICY ${file}.not is not there`]);
  });

  it('names every setting that is wrong, at once', async () => {
    const wrong = { COUNTERSIGN_PORT: 'x', COUNTERSIGN_ISSUER: 'nowhere', COUNTERSIGN_PROT: '1' };
    const { exitCode, problems, errors } = await check(wrong);
    expect(exitCode).toBe(78);
    for (const variable of Object.keys(wrong)) {
      expect(problems.filter((line) => line.startsWith(`${variable} `))).toHaveLength(1);
      expect(errors).toContain(variable);
    }
  });

  it.each([
    ['COUNTERSIGN_DRAIN', '-1', 'must be a whole number, 0 or more'],
    ['COUNTERSIGN_ENV', '', 'must be development or production'],
    ['COUNTERSIGN_BRAND_NAME', '', 'must not be empty'],
  ])('says of %s=%j that it %s', async (variable, value, sentence) => {
    const { problems } = await check({ [variable]: value });
    expect(problems.join('\n')).toContain(`${variable} ${sentence}: `);
  });

  it('names everything that production refuses, at once', async () => {
    const { exitCode, problems } = await check({ COUNTERSIGN_ENV: 'production' });
    expect(exitCode).toBe(78);
    const told = problems.join('\n');
    for (const name of [
      'ISSUER',
      'COOKIE_KEYS',
      'DIGEST_KEY',
      'MASTER_KEYS',
      'TLS_CERTIFICATE',
      'CLIENT_TRUSTSTORE',
    ]) {
      expect(told).toContain(`COUNTERSIGN_${name}`);
    }
    expect(told).toContain('DATABASE_URL is not set');
  });

  it('looks into the certificates and the static file', async () => {
    const { authority, server } = await createTestCertificates();
    const other = await clientCertificate(authority, { subject: 'CN=other' });
    const file = path.join(folder.environment['HOME'] ?? '', 'static.json');
    const metadata = { client_id: 'x', redirect_uris: ['https://x.example.com/'] };
    await writeFile(file, JSON.stringify({ clients: [{ metadata }] }));
    const { exitCode, problems, output } = await check({
      COUNTERSIGN_TLS_CERTIFICATE: server.certificatePem,
      COUNTERSIGN_TLS_PRIVATE_KEY: other.privateKeyPem,
      COUNTERSIGN_CLIENT_TRUSTSTORE: server.certificatePem,
      COUNTERSIGN_CONFIGURATION: file,
    });
    expect(exitCode).toBe(78);
    expect(problems).toHaveLength(3);
    expect(problems.join('\n')).toMatch(/does not belong to COUNTERSIGN_TLS_CERTIFICATE/);
    expect(problems.join('\n')).toMatch(/is not a certificate authority/);
    expect(problems.join('\n')).toMatch(/x authenticates by a secret/);
    expect(output).not.toContain('PRIVATE KEY-');
  });
});

describe('countersign configuration check --connect', () => {
  async function connected(database: { connectionString: string }) {
    const cli = await commandLineOn(database);
    const result = await cli.run(['configuration', 'check', '--connect', '--json']);
    const { output } = await cli.run(['configuration', 'check', '--connect']);
    await cli.remove();
    return { ...result, output };
  }

  it('names the migrations that the database lacks, and applies none', async () => {
    const database = await testDatabase('template0');
    const { exitCode, json, output } = await connected(database);
    await database.close();
    expect(exitCode).toBe(1); // nor does it have a key
    expect(json()).toMatchObject({
      ...{ ok: false, problems: [], signingKey: false },
      pending: expect.arrayContaining([first]) as unknown,
    });
    expect(output).toContain(first);
  });

  it('finds nothing pending where the schema is up to date', async () => {
    const database = await testDatabase();
    const { json, output } = await connected(database);
    expect(json()).toEqual({ ok: false, problems: [], pending: [], signingKey: false });
    expect(output).toContain('The database answers. Pending: no migration.');
    await database.close();
  });

  it('fails while no key signs with the algorithm that a server needs, and says so', async () => {
    const database = await testDatabase();
    const cli = await commandLineOn(database);
    const check = () => cli.run(['configuration', 'check', '--connect']);
    await cli.run(['keys', 'generate', '--algorithm', 'ES256']); // which is not enough
    const without = await check();
    expect(without.exitCode).toBe(1);
    expect(without.errors).toContain('there is no active RS256 key in the ring');
    await cli.run(['keys', 'generate']);
    expect(await check()).toMatchObject({ exitCode: 0, errors: '' });
    await cli.remove();
    await database.close();
  });

  it('tries the embedded database elsewhere where there is none yet, and leaves nothing', async () => {
    const cli = await commandLine();
    const home = cli.environment['HOME'] ?? '';
    const trials = path.join(home, 'tmp');
    await mkdir(trials);
    await chmod(trials, 0o711);
    const words = ['configuration', 'check', '--connect'];
    const { exitCode, output, errors } = await cli.run(words, '', { TMPDIR: trials });
    expect([exitCode, errors]).toEqual([0, '']);
    expect(output).toContain('the embedded database is used: it can be started here');
    expect(output).toContain(path.join(home, 'data', 'postgres'));
    expect(await readdir(home)).toEqual(['tmp']);
    expect(await readdir(trials)).toEqual([]);
    await cli.remove();
  });

  it('asks the embedded database that is there, and stops it again', async () => {
    const cli = await commandLine();
    await cli.run(['clients', 'list']);
    const words = ['configuration', 'check', '--connect'];
    const { exitCode, output } = await cli.run(words);
    expect(exitCode).toBe(0);
    expect(output).toMatch(/the embedded database is used: it answers, in .*no migration/);
    const { json } = await cli.run([...words, '--json']);
    expect(json()).toMatchObject({ ok: true, pending: [], embedded: { made: true } });
    const { directory } = json()['embedded'] as { directory: string };
    expect(await readdir(path.join(directory, 'data'))).not.toContain('postmaster.pid');
    await cli.remove();
  });

  it('fails where the embedded database does not start', async () => {
    const cli = await commandLine();
    const absent = path.join(cli.environment['HOME'] ?? '', 'absent');
    const words = ['configuration', 'check', '--connect'];
    const { exitCode, errors } = await cli.run(words, '', { TMPDIR: absent });
    expect(exitCode).toBe(1);
    expect(errors).toContain(absent);
    await cli.remove();
  });

  it('fails where no database answers', async () => {
    const { exitCode, errors } = await connected({
      connectionString: 'postgresql://nobody@127.0.0.1:1/nothing',
    });
    expect(exitCode).toBe(1);
    expect(errors).toContain("The database can't be used");
  });
});

describe('Every other command', () => {
  it('ends with 78, and one list of problems, where the configuration is wrong', async () => {
    const cli = await commandLine({ COUNTERSIGN_ENV: 'production' });
    for (const words of [['clients', 'list'], ['keys', 'generate'], ['migrate'], ['serve']]) {
      const { exitCode, output, errors } = await cli.run(words);
      expect([words, exitCode, output]).toEqual([words, 78, '']);
      expect(errors).toContain('DATABASE_URL is not set');
    }
    await cli.remove();
  });
});

describe('countersign configuration table', () => {
  it('prints every setting, and no value of this environment', async () => {
    const cli = await commandLine({ COUNTERSIGN_BRAND_NAME: 'Not this one' });
    const { output } = await cli.run(['configuration', 'table']);
    expect(output).toContain('| `COUNTERSIGN_BRAND_NAME` | `Countersign Bank` |');
    const { json } = await cli.run(['configuration', 'table', '--json']);
    const settings = json()['settings'] as Record<string, unknown>[];
    expect(settings[0]).toMatchObject({ variable: 'COUNTERSIGN_ENV', default: 'development' });
    await cli.remove();
  });
});
