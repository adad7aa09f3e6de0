import { generateKeyPairSync } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { commandLineOn } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let cli: CommandLine;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

beforeEach(async () => {
  cli = await commandLineOn(database);
});
afterEach(() => cli.remove());

interface Key {
  kid: string;
  algorithm: string;
  stage: string;
}

async function keys([verb = '', ...words]: readonly string[], input?: string): Promise<Key[]> {
  const result = await cli.run(['keys', verb, '--json', ...words], input);
  expect(result).toMatchObject({ exitCode: 0, errors: '' });
  return result.json()['keys'] as Key[];
}

async function only(words: readonly string[], input?: string): Promise<Key> {
  const [key = { kid: '', algorithm: '', stage: '' }] = await keys(words, input);
  return key;
}

describe('Signing keys', () => {
  it('rotate: the first signs, the next is announced, then signs in its place', async () => {
    const first = await only(['generate']);
    expect(first).toMatchObject({ algorithm: 'RS256', stage: 'active' });
    const second = await only(['generate']);
    expect(second).toMatchObject({ algorithm: 'RS256', stage: 'announced' });
    expect(await only(['generate', '--algorithm', 'ES256'])).toMatchObject({ stage: 'active' });

    expect(await keys(['activate', '--', second.kid])).toMatchObject([
      { kid: second.kid, stage: 'active' },
      { kid: first.kid, stage: 'retired' },
    ]);
    const listed = new Map((await keys(['list'])).map(({ kid, stage }) => [kid, stage]));
    expect([listed.size, listed.get(first.kid), listed.get(second.kid)]).toEqual([
      3,
      'retired',
      'active',
    ]);
    const lastOne = await cli.run(['keys', 'retire', '--', second.kid]);
    expect(lastOne).toMatchObject({ exitCode: 1, output: '' });
    expect(lastOne.errors).toContain('activate another one first');
  });

  it('are private files, and no command prints what is in them', async () => {
    const { kid } = await only(['generate']);
    const folder = path.join(cli.keysDirectory, 'signing');
    expect(await readdir(folder)).toEqual([`${kid}.json`]);
    const file = path.join(folder, `${kid}.json`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { privateJwk } = JSON.parse(await readFile(file, 'utf8')) as {
      privateJwk: { d: string };
    };
    const { output } = await cli.run(['keys', 'list', '--json']);
    const { output: trail } = await cli.run(['audit', 'list', '--json']);
    expect(output).toContain(kid);
    expect(trail).toContain(kid);
    expect(output + trail).not.toContain(privateJwk.d);
    // Nothing but the database is needed for it: no other secret was made on the way.
    expect(await readdir(cli.keysDirectory)).toEqual(['signing']);
  });

  it('may be brought along, once', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const imported = await only(['import', '-', '--algorithm', 'ES256'], pem);
    expect(imported).toMatchObject({ algorithm: 'ES256', stage: 'active' });
    const again = await cli.run(['keys', 'import', '-', '--algorithm', 'ES256'], pem);
    expect(again).toMatchObject({ exitCode: 1, output: '' });
    expect(again.errors).toContain(`the key ${imported.kid} is there already`);
  });

  it('say that a running server needs a restart', async () => {
    const { output } = await cli.run(['keys', 'generate']);
    expect(output).toContain('A running server knows it after a restart.');
  });

  it.each([
    [['import', '-'], 'not a PKCS #8 private key for RS256', 1],
    [['import', 'missing.pem'], "missing.pem can't be read", 2],
    [['activate', 'nobody'], 'there is no key nobody', 1],
    [['retire', 'nobody'], 'there is no key nobody', 1],
    [['generate', '--algorithm', 'HS256'], 'Allowed choices are RS256, PS256, ES256, EdDSA', 2],
  ])('are refused when they are wrong: %j', async (words, reason, exitCode) => {
    const result = await cli.run(['keys', ...words], 'not a key');
    expect(result).toMatchObject({ exitCode, output: '' });
    expect(result.errors).toContain(reason);
  });

  it('are not touched when the act could not be recorded', async () => {
    const away = await commandLineOn({ connectionString: 'postgres://nobody@127.0.0.1:1/none' });
    const result = await away.run(['keys', 'generate']);
    expect(result).toMatchObject({ exitCode: 1, output: '' });
    expect(result.errors).toMatch(/^The database can't be used: .*ECONNREFUSED.*\n$/);
    await expect(stat(away.keysDirectory)).rejects.toThrow('ENOENT');
    await away.remove();
  });
});
