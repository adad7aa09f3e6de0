import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { startProgram } from '../support/program.ts';
import type { Program } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';
import { runCommand } from './support/command.ts';
import type { Outcome } from './support/command.ts';
import { adapted, shippedFile } from './support/shipped.ts';

let directory: TemporaryDirectory;
let program: Program;
let issuer: string;
let mtlsOrigin: string;
/** The README's command, with this test's port. */
let firstToken: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  const [port, mtlsPort, operationsPort] = [await freePort(), await freePort(), await freePort()];
  issuer = `https://localhost:${String(port)}`;
  mtlsOrigin = `https://localhost:${String(mtlsPort)}`;
  program = startProgram({
    environment: {
      COUNTERSIGN_ISSUER: issuer,
      COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin,
      COUNTERSIGN_PORT: String(port),
      COUNTERSIGN_MTLS_PORT: String(mtlsPort),
      COUNTERSIGN_OPERATIONS_PORT: String(operationsPort),
      COUNTERSIGN_KEYS_DIRECTORY: path.join(directory.path, 'keys'),
      COUNTERSIGN_DATA_DIRECTORY: path.join(directory.path, 'data'),
      TMPDIR: directory.path,
    },
  });
  const [command = ''] = /^curl .+$/m.exec(await shippedFile('README.md')) ?? [];
  firstToken = adapted(command, [['https://localhost:3444', mtlsOrigin]]);
  await program.says(/Stop with Ctrl-C/);
  await createForeignCertificate();
});

afterAll(async () => {
  await program.stop();
  await directory.remove();
});

/** Same subject as the sample client's, by an authority that nobody trusts. */
async function createForeignCertificate(): Promise<void> {
  const { foreignAuthority } = await createTestCertificates();
  const { subject } = new X509Certificate(await inKeys('tpp.crt'));
  const names = subject.split('\n').reverse().join(',');
  const foreign = await clientCertificate(foreignAuthority, { subject: names });
  await mkdir(path.join(directory.path, 'foreign'));
  await writeFile(path.join(directory.path, 'foreign', 'tpp.crt'), foreign.certificatePem);
  await writeFile(path.join(directory.path, 'foreign', 'tpp.key'), foreign.privateKeyPem);
}

const inKeys = (name: string) => readFile(path.join(directory.path, 'keys', name));

/** Runs a command line in the folder of the keys, as the reader of the README would. */
function paste(command: string): Promise<Outcome> {
  const quiet = `${command} --silent --show-error`;
  return runCommand('sh', ['-c', quiet], { directory: directory.path });
}

const answerOf = ({ stdout }: Outcome) => JSON.parse(stdout) as Record<string, unknown>;

describe('curl', () => {
  it("gets the README's first token, bound to its certificate", async () => {
    const token = String(answerOf(await paste(firstToken))['access_token']);
    const { raw } = new X509Certificate(await inKeys('tpp.crt'));
    const thumbprint = createHash('sha256').update(raw).digest('base64url');
    expect(decodeJwt(token)).toMatchObject({
      iss: issuer,
      client_id: 'sample-tpp',
      scope: 'accounts',
      cnf: { 'x5t#S256': thumbprint },
    });
  });

  it('gets none without a certificate', async () => {
    const without = adapted(firstToken, [[' --cert keys/tpp.crt --key keys/tpp.key', '']]);
    expect(answerOf(await paste(without))).toMatchObject({ error: 'invalid_client' });
  });

  it('gets none with a certificate of the same name from elsewhere', async () => {
    const foreign = adapted(firstToken, [['keys/tpp.', 'foreign/tpp.']]);
    expect(answerOf(await paste(foreign))).toMatchObject({ error: 'invalid_client' });
  });

  it('gets none where no certificate is asked for', async () => {
    const elsewhere = adapted(firstToken, [[mtlsOrigin, issuer]]);
    expect(answerOf(await paste(elsewhere))).toMatchObject({ error: 'invalid_client' });
  });

  it.each([
    ['public', () => issuer],
    ['mTLS', () => mtlsOrigin],
  ])('shakes hands by TLS 1.2 and 1.3 only, on the %s listener', async (_name, origin) => {
    const versions = ['1.0', '1.1', '1.2', '1.3'];
    // SECLEVEL=0, or OpenSSL itself would refuse to offer what is too old.
    const outcomes = versions.map((version) =>
      paste(
        `curl --cacert keys/ca.crt --tlsv${version} --tls-max ${version} --ciphers DEFAULT@SECLEVEL=0 --output /dev/null --write-out %{http_code} ${origin()}/jwks`,
      ),
    );
    const [old, older, usual, newest] = await Promise.all(outcomes);
    const refused = {
      code: 35,
      stdout: '000',
      stderr: expect.stringContaining('alert protocol version') as unknown,
    };
    expect([old, older]).toMatchObject([refused, refused]);
    expect([usual, newest]).toMatchObject([{ stdout: '200' }, { stdout: '200' }]);
  });
});
