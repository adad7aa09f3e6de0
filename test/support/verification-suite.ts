import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { clientCertificate, createTestCertificates } from './certificates.ts';
import { commandLine } from './command-line.ts';
import { testDatabase } from './database.ts';
import { fapiRegistration, newClientKey } from './fapi.ts';
import { freePort } from './free-port.ts';
import { accountsApi, createFetches, opaqueApi } from './server.ts';
import type { AuthorizationServer } from './server.ts';

/** What an imagined black-box suite brings, and the file that tells the server. */
export type VerificationSuite = Awaited<ReturnType<typeof verificationSuite>>;

const subject = 'CN=suite,O=Conformance Ltd,C=GB';

/** Keys, certificates, a database, ports, and a file with clients of three kinds and a customer. */
export async function verificationSuite() {
  const { authority } = await createTestCertificates();
  const database = await testDatabase();
  const cli = await commandLine({ DATABASE_URL: database.connectionString });
  const folder = cli.environment['HOME'] ?? '';
  const key = await newClientKey('PS256');
  const secret = randomBytes(32).toString('base64url');
  const [port, mtlsPort, operationsPort] = [await freePort(), await freePort(), await freePort()];
  const issuer = `https://localhost:${String(port)}`;
  const mtlsOrigin = `https://localhost:${String(mtlsPort)}`;
  const customer = { id: '', username: 'suite-user', password: 'a long pass phrase' };
  const byCertificate = {
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: subject,
    dpop_bound_access_tokens: undefined,
    jwks: undefined,
  };
  const content = {
    issuer,
    mtlsOrigin,
    listen: { operationsPort },
    trustedAuthorities: [{ pem: authority.certificatePem }],
    resourceServers: [
      { identifier: accountsApi, name: 'API', scopes: { accounts: { en: 'A' }, payments: {} } },
      { identifier: opaqueApi, name: 'O', accessTokenFormat: 'opaque', scopes: { statements: {} } },
    ],
    clients: [
      {
        metadata: {
          client_id: 'suite-basic',
          redirect_uris: ['https://suite.example.com/callback'],
          grant_types: ['authorization_code', 'refresh_token'],
        },
        clientSecret: secret,
        permissions: { [accountsApi]: ['accounts'] },
      },
      fapiRegistration('suite-mtls', key, byCertificate),
      fapiRegistration('suite-dpop', key),
    ],
    customers: [
      { ...{ username: customer.username, password: customer.password }, claims: { name: 'Sue' } },
    ],
  };

  /** Starts `countersign serve --config` with the content; what it needs to be spoken to. */
  async function start(changed: object = {}) {
    const child = cli.start([
      'serve',
      '--json',
      '--config',
      await write({ ...content, ...changed }),
    ]);
    const ended = once(child, 'close');
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const first = await Promise.race([once(child.stdout ?? child, 'data'), ended]);
    if (!Buffer.isBuffer(first[0])) throw new Error(`it did not start: ${errors}`);
    const certificatePem = await readFile(path.join(cli.keysDirectory, 'ca.crt'), 'utf8');
    const own = { certificatePem, privateKeyPem: '' };
    const fetches = createFetches(
      { issuer, mtlsOrigin },
      { authority: own, foreignAuthority: own, server: own },
      { ports: { public: port, mtls: mtlsPort, operations: operationsPort } },
    );
    const server: Pick<AuthorizationServer, 'issuer' | 'fetch' | 'customer'> = {
      issuer,
      customer,
      fetch: (certificate) => fetches.fetch(certificate),
    };
    return {
      server,
      async stop() {
        await fetches.close();
        child.kill('SIGTERM');
        await ended;
      },
    };
  }

  async function write(value: object): Promise<string> {
    const file = path.join(folder, 'suite.json');
    await writeFile(file, JSON.stringify(value));
    return file;
  }

  return {
    ...{ content, issuer, mtlsOrigin, key, secret, cli, start, write },
    certificate: await clientCertificate(authority, { subject }),
    async remove() {
      await cli.remove();
      await database.close();
    },
  };
}
