import { once } from 'node:events';
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createKeyFiles } from '../../src/signing-keys/key-files.ts';
import { serverCertificate } from '../support/certificates.ts';
import { commandLine, commandLineOn } from '../support/command-line.ts';
import { testDatabase } from '../support/database.ts';
import { production } from '../support/production.ts';
import type { Environment, Production } from '../support/production.ts';
import { startProgram } from '../support/program.ts';

let bank: Production;

beforeAll(async () => {
  bank = await production();
});
afterAll(() => bank.close());

async function expectRefusal(changes: Environment, pattern: RegExp): Promise<void> {
  expect(await bank.refusal(changes)).toEqual({
    code: 78,
    output: '',
    title: 'Countersign does not start:',
    problems: [expect.stringMatching(pattern)],
  });
}

async function keysIn(name: string, kidPrefix = ''): Promise<{ folder: string; file: string }> {
  const folder = path.join(bank.directory, name);
  const files = createKeyFiles(path.join(folder, 'signing'), systemClock);
  const { kid } = await files.generate('RS256', 'active', kidPrefix);
  return { folder, file: path.join(folder, 'signing', `${kid}.json`) };
}

describe('A start in production is refused for', () => {
  it('no signing key, and one that development made', async () => {
    const blank = await testDatabase();
    const empty = path.join(bank.directory, 'empty');
    await mkdir(empty);
    const noKey = { COUNTERSIGN_KEYS_DIRECTORY: empty, DATABASE_URL: blank.connectionString };
    await expectRefusal(noKey, /no active RS256 signing key: run `.*keys generate`/);
    const { folder } = await keysIn('foreign', 'development-');
    await expectRefusal(
      { ...noKey, COUNTERSIGN_KEYS_DIRECTORY: folder },
      /signing key development-\S+ was created by development/,
    );
    await blank.close();
  });

  it('a signing key that others may read, with the one remedy that helps', async () => {
    const { folder, file } = await keysIn('open');
    await chmod(file, 0o644);
    await expectRefusal(
      { COUNTERSIGN_KEYS_DIRECTORY: folder },
      /others may read it: run chmod 600 on it$/,
    );
  });

  it('another master key than the one that sealed the signing keys, and says which', async () => {
    const sealed = await testDatabase();
    const cli = await commandLineOn(sealed);
    expect(await cli.run(['keys', 'generate'])).toMatchObject({ exitCode: 0 });
    await cli.remove();
    await expectRefusal(
      { DATABASE_URL: sealed.connectionString },
      /is sealed under the master key [\da-f]{8}, and COUNTERSIGN_MASTER_KEYS has only [\da-f]{8}$/,
    );
    await sealed.close();
  });
});

describe('A server in production', () => {
  it('takes over the key files once, and new certificates on SIGHUP', async () => {
    const files = {
      COUNTERSIGN_TLS_CERTIFICATE: path.join(bank.directory, 'tls.crt'),
      COUNTERSIGN_TLS_PRIVATE_KEY: path.join(bank.directory, 'tls.key'),
    };
    const environment = { ...bank.safe };
    for (const [variable, file] of Object.entries(files)) {
      await writeFile(file, bank.safe[variable] ?? '');
      environment[`${variable}_FILE`] = file;
      Reflect.deleteProperty(environment, variable);
    }
    const program = startProgram({ environment });
    const operations = `http://127.0.0.1:${environment['COUNTERSIGN_OPERATIONS_PORT'] ?? ''}`;
    await program.answers(`${operations}/readyz`);
    const cli = await commandLine(environment);
    const { json } = await cli.run(['keys', 'list', '--json']);
    await cli.remove();
    expect(json()['keys']).toMatchObject([{ stage: 'active', origin: 'file', algorithm: 'RS256' }]);

    const { authority } = bank.certificates;
    const renewed = await serverCertificate(authority, ['auth.bank.test', 'mtls.bank.test']);
    await replace(files.COUNTERSIGN_TLS_PRIVATE_KEY, renewed.privateKeyPem);
    await replace(files.COUNTERSIGN_TLS_CERTIFICATE, renewed.certificatePem);
    program.child.kill('SIGHUP');
    const expected = new X509Certificate(renewed.certificatePem).fingerprint256;
    const port = Number(environment['COUNTERSIGN_PORT']);
    await expect.poll(() => servedAt(port), { timeout: 4000 }).toBe(expected);
    expect(await program.stop()).toEqual({ code: 0, signal: null });
  });
});

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

async function servedAt(port: number): Promise<string> {
  const ca = [bank.certificates.authority.certificatePem];
  const socket = connect({ host: '127.0.0.1', servername: 'auth.bank.test', port, ca });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
