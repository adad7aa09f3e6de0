import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkedKey } from '../../src/signing-keys/key-material.ts';
import { readPkcs12 } from '../../src/signing-keys/pkcs12.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { runCommand } from './support/command.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
const openssl = async (...args: string[]) => {
  const { code, stderr } = await runCommand('openssl', args, { directory: directory.path });
  if (code !== 0) throw new Error(stderr);
};

beforeAll(async () => {
  directory = await temporaryDirectory();
  const request = ['req', '-x509', '-nodes', '-subj', '/CN=signing', '-days', '1'];
  await openssl(...request, '-newkey', 'rsa:2048', '-keyout', 'rsa.pem', '-out', 'rsa.crt');
});
afterAll(() => directory.remove());

async function exported(...options: string[]) {
  await openssl(
    'pkcs12',
    '-export',
    '-in',
    'rsa.crt',
    '-passout',
    'pass:a secret',
    '-out',
    'x.p12',
    ...options,
  );
  return readFile(path.join(directory.path, 'x.p12'));
}

describe('A PKCS #12 file of OpenSSL', () => {
  it('is read, key beside certificate', async () => {
    const key = await readPkcs12(await exported('-inkey', 'rsa.pem'), 'a secret');
    expect(await checkedKey(key, { algorithm: 'PS256' })).toMatchObject({ algorithm: 'PS256' });
  });

  it('with the certificate alone is refused', async () => {
    await expect(readPkcs12(await exported('-nokeys'), 'a secret')).rejects.toThrow(
      'there is no private key in it',
    );
  });

  it('without a MAC is refused, and so is one in ciphers of the last century', async () => {
    const bare = await exported('-inkey', 'rsa.pem', '-nomac');
    await expect(readPkcs12(bare, 'a secret')).rejects.toThrow('it has no MAC');
    const legacy = await exported('-inkey', 'rsa.pem', '-legacy');
    await expect(readPkcs12(legacy, 'a secret')).rejects.toThrow('export it anew, with AES');
  });
});
