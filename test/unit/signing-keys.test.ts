import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CompactSign, compactVerify, importJWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { createKeyFiles } from '../../src/signing-keys/key-files.ts';
import type { KeyFiles } from '../../src/signing-keys/key-files.ts';
import { signingAlgorithms } from '../../src/signing-keys/key-ring.ts';
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
});
