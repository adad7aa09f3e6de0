import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { commandLine, commandLineOn } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { testDatabase } from '../support/database.ts';
import { pkcs12File } from '../support/pkcs12.ts';
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
afterEach(async () => {
  await statement('TRUNCATE signing_keys, key_set_readers, key_ring_processes');
  await cli.remove();
});

async function statement(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(database.connection);
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(sql);
  await client.end();
  return rows;
}

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

async function stages(): Promise<Map<string, string>> {
  return new Map((await keys(['list'])).map(({ kid, stage }) => [kid, stage]));
}

describe('Signing keys', () => {
  it('rotate: the first signs, the next is announced, then signs in its place', async () => {
    const first = await only(['generate']);
    expect(first).toMatchObject({ algorithm: 'RS256', stage: 'active' });
    const second = await only(['generate']);
    expect(second).toMatchObject({ algorithm: 'RS256', stage: 'announced' });
    expect(await only(['generate', '--algorithm', 'ES256'])).toMatchObject({ stage: 'active' });
    expect(await only(['promote', '--', second.kid])).toMatchObject({ stage: 'active' });
    const listed = await stages();
    expect([listed.size, listed.get(first.kid), listed.get(second.kid)]).toEqual([
      3,
      'retired',
      'active',
    ]);
    const lastOne = await cli.run(['keys', 'retire', '--', second.kid]);
    expect(lastOne).toMatchObject({ exitCode: 1, output: '' });
    expect(lastOne.errors).toMatch(
      /^The signing keys do not allow this: .*promote another one first/,
    );
  });

  it('rotate by one command, with the announced key or a new one', async () => {
    const first = await only(['generate']);
    const announced = await only(['announce']);
    expect(announced).toMatchObject({ stage: 'announced' });
    expect(await only(['rotate'])).toMatchObject({ kid: announced.kid, stage: 'active' });
    const third = await only(['rotate']);
    expect(await stages()).toEqual(
      new Map([
        [third.kid, 'active'],
        [announced.kid, 'retired'],
        [first.kid, 'retired'],
      ]),
    );
  });

  it('that are compromised end at once, and another one signs', async () => {
    const first = await only(['generate']);
    expect(await keys(['revoke', '--', first.kid])).toMatchObject([
      { kid: first.kid, stage: 'revoked' },
      { algorithm: 'RS256', stage: 'active' },
    ]);
    const again = await cli.run(['keys', 'revoke', '--', first.kid]);
    expect(again.errors).toContain('has been destroyed or revoked already');
    const { output } = await cli.run(['audit', 'list', '--json', '--type', 'signing_key.revoked']);
    expect(output).toContain(first.kid);
  });

  it('lie sealed in the database, and no command prints what is in them', async () => {
    const { kid } = await only(['generate']);
    const [row] = await statement(`SELECT signing_keys::text AS text FROM signing_keys`);
    expect(row?.['text']).toContain(kid);
    const { output } = await cli.run(['keys', 'status', '--json']);
    const { output: trail } = await cli.run(['audit', 'list', '--json']);
    expect(output).toContain(kid);
    expect(trail).toContain(kid);
    for (const text of [String(row?.['text']), output, trail]) {
      expect(text).not.toMatch(/"(?:[dpq]|dp|dq|qi|privateJwk)"/);
    }
    // Nothing is left on this machine.
    await expect(stat(cli.keysDirectory)).rejects.toThrow('ENOENT');
  });

  it('may be brought along, once', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const imported = await only(['import', '-', '--algorithm', 'ES256'], pem);
    expect(imported).toMatchObject({ algorithm: 'ES256', stage: 'active' });
    const again = await cli.run(['keys', 'import', '-', '--algorithm', 'ES256'], pem);
    expect(again).toMatchObject({ exitCode: 1, output: '' });
    expect(again.errors).toContain(`the key ${imported.kid} is, or was, there already`);
  });

  it('may be brought along encrypted, with a passphrase from a file', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const encryption = { cipher: 'aes-256-cbc', passphrase: 'open sesame' };
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
    const file = path.join(cli.environment['HOME'] ?? '', 'passphrase');
    await writeFile(file, 'open sesame\n');
    const words = ['import', '-', '--algorithm', 'EdDSA', '--passphrase-file', file];
    expect(await only(words, pem)).toMatchObject({ algorithm: 'EdDSA', stage: 'active' });
  });

  it('may be brought along in a PKCS #12 file, with its password', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const home = cli.environment['HOME'] ?? '';
    const [file, password] = [path.join(home, 'key.p12'), path.join(home, 'password')];
    await writeFile(file, await pkcs12File([privateKey], 'open sesame'));
    await writeFile(password, 'open sesame\n');
    const words = ['import', file, '--pkcs12', '--algorithm', 'ES256'];
    const unasked = await cli.run(['keys', ...words]);
    expect(unasked).toMatchObject({ exitCode: 2, output: '' });
    expect(unasked.errors).toContain('There is no terminal to ask on: give --passphrase-file');
    const imported = await only([...words, '--passphrase-file', password]);
    expect(imported).toMatchObject({ stage: 'active', signer: 'sealed' });
    await writeFile(password, 'open simsim\n');
    const wrong = await cli.run(['keys', ...words, '--passphrase-file', password]);
    expect(wrong).toMatchObject({ exitCode: 1, output: '' });
    expect(wrong.errors).toContain('its password is another one, or it was changed');
  });

  it('are made by a signer only that is configured, and never in its place', async () => {
    const more = { COUNTERSIGN_KEY_SIGNER: 'pkcs11' };
    const result = await cli.run(['keys', 'generate'], '', more);
    expect(result).toMatchObject({ exitCode: 78, output: '' });
    expect(result.errors).toContain('COUNTERSIGN_PKCS11_LIBRARY is not set');
    expect(await keys(['list'])).toEqual([]);
  });

  it('are adopted from an HSM only, by their label or CKA_ID', async () => {
    expect(await cli.run(['keys', 'adopt', '--label', 'ceremony'])).toMatchObject({
      ...{ exitCode: 1, output: '' },
      errors: expect.stringContaining('set COUNTERSIGN_PKCS11_LIBRARY') as string,
    });
    for (const [words, reason] of [
      [[], 'Give --label, --id or both.'],
      [['--id', 'abc'], 'hexadecimal'],
    ] as const) {
      const refused = await cli.run(['keys', 'adopt', ...words]);
      expect(refused).toMatchObject({ exitCode: 2, output: '' });
      expect(refused.errors).toContain(reason);
    }
    expect(await keys(['list'])).toEqual([]);
  });

  it('say what there is none of', async () => {
    expect((await cli.run(['keys', 'list'])).output).toBe('Signing keys: none.\n');
    expect((await cli.run(['keys', 'status'])).output).toBe(
      [
        'Signing keys: none.',
        'Running servers: none.',
        'Resource servers that fetched the key set: none.\n',
      ].join('\n\n'),
    );
  });

  it('are not promoted before known resource servers have fetched them, unless forced', async () => {
    const first = await only(['generate']);
    const next = await only(['announce']);
    await statement(`INSERT INTO key_set_readers VALUES
      ('configured-address', '192.0.2.7', ARRAY['${first.kid}'], 1, now(), now())`);
    const refused = await cli.run(['keys', 'rotate']);
    expect(refused).toMatchObject({ exitCode: 1, output: '' });
    expect(refused.errors).toContain(
      `${next.kid} has not been fetched by 192.0.2.7: wait for them, or give --force`,
    );
    expect((await cli.run(['keys', 'status'])).output).toMatch(/192\.0\.2\.7 +\S+ +yes +no /);
    expect(await only(['rotate', '--force'])).toMatchObject({ kid: next.kid, stage: 'active' });
  });

  it('are wrapped by a new master key, and closed to the old one', async () => {
    const [oldKey, newKey] = [
      cli.environment['COUNTERSIGN_MASTER_KEYS'] ?? '',
      randomBytes(32).toString('base64url'),
    ];
    await only(['generate']);
    const withKeys = (value: string) =>
      commandLine({ ...cli.environment, COUNTERSIGN_MASTER_KEYS: value });
    const both = await withKeys(`${newKey},${oldKey}`);
    const rewrapped = await both.run(['keys', 'rewrap']);
    expect(rewrapped).toMatchObject({ exitCode: 0, errors: '' });
    expect(rewrapped.output).toContain('1 of 1 keys were wrapped anew');
    expect((await both.run(['keys', 'rewrap'])).output).toContain('0 of 1');
    const late = await cli.run(['keys', 'rewrap']);
    expect(late).toMatchObject({ exitCode: 1, output: '' });
    expect(late.errors).toContain('sealed under the master key');
    await both.remove();
  });

  it('of development are refused in production', async () => {
    const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
      format: 'jwk',
    });
    const production = await commandLine({ ...cli.environment, COUNTERSIGN_ENV: 'production' });
    const text = JSON.stringify({ ...jwk, kid: 'development-1' });
    const result = await production.run(['keys', 'import', '-'], text);
    expect(result).toMatchObject({ exitCode: 1, output: '' });
    expect(result.errors).toContain('development-1 was created by development');
    await production.remove();
  });

  it.each([
    [['import', '-'], 'not a private key for RS256', 1],
    [['import', 'missing.pem'], "missing.pem can't be read", 2],
    [['promote', 'nobody'], 'there is no key nobody', 1],
    [['retire', 'nobody'], 'there is no key nobody', 1],
    [['revoke', 'nobody'], 'there is no key nobody', 1],
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
    await away.remove();
  });
});
