import { generateKeyPairSync } from 'node:crypto';
import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CompactSign, compactVerify, importJWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { createKeyFiles } from '../../src/signing-keys/key-files.ts';
import type { KeyFiles } from '../../src/signing-keys/key-files.ts';
import {
  keyRingProblems,
  orderForSigning,
  signingAlgorithms,
} from '../../src/signing-keys/key-ring.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;
let signing: string;
let files: KeyFiles;
let now: Date;
const clock: Clock = { now: () => now };

beforeEach(async () => {
  directory = await temporaryDirectory();
  signing = path.join(directory.path, 'signing');
  now = new Date('2026-01-01T00:00:00Z');
  files = createKeyFiles(signing, clock);
});

afterEach(() => directory.remove());

describe('A new signing key', () => {
  it.each(signingAlgorithms)('signs with %s and is found again as it was', async (algorithm) => {
    const key = await files.generate(algorithm, 'active');
    expect(await createKeyFiles(signing, clock).list()).toEqual([key]);
    const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...publicJwk } = key.privateJwk;
    const jws = await new CompactSign(Buffer.from('text'))
      .setProtectedHeader({ alg: algorithm })
      .sign(await importJWK(key.privateJwk, algorithm));
    const { payload } = await compactVerify(jws, await importJWK(publicJwk, algorithm));
    expect(Buffer.from(payload).toString()).toBe('text');
  });

  it('lies in a private file of its own in a private folder', async () => {
    const { kid } = await files.generate('ES256', 'active');
    expect(await readdir(signing)).toEqual([`${kid}.json`]);
    const modes = await Promise.all([stat(signing), stat(path.join(signing, `${kid}.json`))]);
    expect(modes.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(['700', '600']);
  });
});

describe('A folder of keys', () => {
  it('that does not exist has none', async () => {
    expect(await files.list()).toEqual([]);
  });

  it.each([
    ['that others may read', async (file: string) => chmod(file, 0o640)],
    ['that is no JSON', async (file: string) => writeFile(file, '{')],
    ['without a private part', async (file: string) => writeFile(file, '{"kid":"x"}')],
  ])('with a file %s is refused, by name', async (_name, spoil) => {
    const { kid } = await files.generate('ES256', 'active');
    await spoil(path.join(signing, `${kid}.json`));
    await expect(files.list()).rejects.toMatchObject({
      code: 'signing_key_invalid',
      detail: expect.stringContaining(`${kid}.json`) as unknown,
    });
  });

  it('keeps what a key has when it moves, and knows when there is none', async () => {
    const key = await files.generate('ES256', 'announced');
    now = new Date('2026-02-01T00:00:00Z');
    await files.move(key.kid, 'active');
    expect(await files.list()).toEqual([{ ...key, stage: 'active' }]);
    await expect(files.move('nothing', 'retired')).rejects.toMatchObject({
      code: 'signing_key_invalid',
    });
  });
});

describe('An operator’s own key', () => {
  function pem(bits: number): string {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
    return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  it('is taken', async () => {
    const key = await files.importPem(pem(2048), 'PS256', 'announced');
    expect(await files.list()).toEqual([key]);
  });

  it.each([
    ['too weak', 1024, 'RS256'],
    ['of another kind', 2048, 'ES256'],
    ['no key', undefined, 'RS256'],
  ] as const)('that is %s is refused, and nothing is written', async (_name, bits, algorithm) => {
    const text = bits === undefined ? 'nonsense' : pem(bits);
    await expect(files.importPem(text, algorithm, 'active')).rejects.toMatchObject({
      code: 'signing_key_invalid',
    });
    expect(await files.list()).toEqual([]);
  });
});

describe('A key ring', () => {
  it('signs with the newest active key, and lacks RS256 or not', async () => {
    expect(keyRingProblems([])).toHaveLength(1);
    const first = await files.generate('ES256', 'active');
    now = new Date('2026-01-02T00:00:00Z');
    const retired = await files.generate('ES256', 'retired');
    const second = await files.generate('ES256', 'active');
    const announced = await files.generate('RS256', 'announced');
    const ring = [first, retired, second, announced];
    expect(orderForSigning(ring).map(({ kid }) => kid)).toEqual(
      [second, first, announced, retired].map(({ kid }) => kid),
    );
    expect(keyRingProblems(ring)).toEqual(['there is no active RS256 signing key']);
    await files.move(announced.kid, 'active');
    expect(keyRingProblems(await files.list())).toEqual([]);
    expect(keyRingProblems([...(await files.list()), first])).toHaveLength(1);
  });
});
