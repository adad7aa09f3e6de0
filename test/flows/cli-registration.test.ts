import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { expiredClientCertificate } from '../support/certificates.ts';
import { commandLine } from '../support/command-line.ts';
import type { CommandLine, CommandResult } from '../support/command-line.ts';
import {
  signedDirectory,
  softwareCertificate,
  testDirectory,
  testKey,
} from '../support/directory.ts';
import type { TestDirectory, TestSoftware } from '../support/directory.ts';
import { callRegistration, registered } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let directory: TestDirectory;
let server: AuthorizationServer;
let cli: CommandLine;
let software: TestSoftware;
let certificate: IssuedCertificate;

beforeAll(async () => {
  directory = await testDirectory();
  server = await startAuthorizationServer({ environment: directory.environment });
  const { digestKey, encryptionKeys } = server.material;
  cli = await commandLine({
    ...directory.environment,
    COUNTERSIGN_ISSUER: server.issuer,
    COUNTERSIGN_MTLS_ORIGIN: server.mtlsOrigin,
    COUNTERSIGN_CLIENT_TRUSTSTORE: server.certificates.authority.certificatePem,
    DATABASE_URL: server.database.connectionString,
    COUNTERSIGN_DIGEST_KEY: digestKey.toString('base64url'),
    COUNTERSIGN_ENCRYPTION_KEYS: encryptionKeys.map((key) => key.toString('base64url')).join(','),
  });
  software = await directory.software({ audience: server.issuer });
  certificate = await softwareCertificate(server, software);
});

afterAll(async () => {
  await cli.remove();
  await server.stop();
  await directory.close();
});

async function check(
  body: Record<string, unknown> | string,
  { certificatePem }: IssuedCertificate = certificate,
  words: string[] = [],
): Promise<CommandResult> {
  const file = path.join(cli.environment['HOME'] ?? '', 'tpp.crt');
  await writeFile(file, certificatePem);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const command = ['clients', 'check-registration', '--body', '-', '--certificate', file];
  return cli.run([...command, ...words], text);
}

describe('A dry run', () => {
  it('shows what would be registered, and registers nothing', async () => {
    const before = await registered(server);
    const body = { software_statement: await software.statement(), scope: 'accounts admin' };
    const result = await check(body, certificate, ['--json']);
    expect(result).toMatchObject({ exitCode: 0, errors: '' });
    expect(result.json()).toMatchObject({
      ok: true,
      faults: [],
      softwareId: software.id,
      permissions: { [accountsApi]: ['accounts'] },
      metadata: { software_id: software.id, token_endpoint_auth_method: 'tls_client_auth' },
    });
    expect(await registered(server)).toBe(before);
    const text = await check(body);
    expect(text.output).toContain(
      `The registration would be accepted. The client may request:\n  - the scopes accounts at ${accountsApi}\n`,
    );
    expect(text.output).toMatch(/^OpenID scopes +openid offline_access$/m);
    expect(text.output).not.toMatch(/^scope /m);
  });

  it('tells everything that would be refused, both sides of what differs, and our time', async () => {
    const foreign = await directory.software();
    const expired = await expiredClientCertificate(server.certificates.authority, {
      subject: foreign.subject,
    });
    const claims = { iat: epochSeconds(systemClock) + 3600, software_roles: ['CBPII'] };
    const body = {
      software_statement: await software.statement(undefined, {
        claims,
        key: (await testKey('directory-1')).privateKey,
      }),
      redirect_uris: ['http://evil.example.com/#x'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'none',
    };
    const result = await check(body, expired, ['--json']);
    expect(result.exitCode).toBe(1);
    const { ok, faults, ourTime } = result.json();
    expect(ok).toBe(false);
    expect(ourTime).toMatch(/^20\d\d-/);
    const told = (faults as { code: string; detail: string }[]).map(
      ({ code, detail }) => `${code}: ${detail}`,
    );
    const expected = [
      /^invalid_token: the certificate: expired/,
      /^invalid_software_statement: .*signature/,
      /^invalid_software_statement: .*3\d\d\d s in the future by our clock/,
      /^unapproved_software_statement: no role permits anything/,
      /^invalid_redirect_uri: .*fragment/,
      /^invalid_redirect_uri: .*not in the software statement/,
      /^invalid_client_metadata: token_endpoint_auth_method "none"/,
      /^invalid_client_metadata: id_token_signed_response_alg/,
      new RegExp(`^unapproved_.*"${foreign.id}".*"${software.id}".*subject "CN|UID`),
    ];
    for (const pattern of expected) expect(told).toContainEqual(expect.stringMatching(pattern));
  });

  it('ends no sentence with what is not there', async () => {
    const claims = { software_roles: ['NOBODY'] };
    const body = { software_statement: await software.statement(undefined, { claims }) };
    const { output } = await check(body);
    expect(output).toContain('invalid_client_metadata: no scope is permitted\n');
    const asking = await check({ ...body, scope: 'accounts' });
    expect(asking.output).toContain('none of the scopes accounts is permitted\n');
  });

  it('tells each refusal once', async () => {
    const uri = 'http://evil.example.com/';
    const body = { software_statement: await software.statement(), redirect_uris: [uri, uri] };
    const { exitCode, output, errors } = await check(body);
    expect([exitCode, errors]).toEqual([1, '']);
    const refusals = output.split('\n').filter((line) => line.startsWith('  - '));
    expect(refusals.join('\n')).toContain(`redirect URI ${uri} is not https`);
    expect(refusals).toEqual([...new Set(refusals)]);
    const { json } = await check(body, certificate, ['--json']);
    expect(json()['faults']).toHaveLength(refusals.length);
  });

  it('knows whether the software is registered already', async () => {
    const taken = await directory.software();
    const own = await softwareCertificate(server, taken);
    const body = { software_statement: await taken.statement() };
    expect((await check(body, own)).exitCode).toBe(0);
    expect((await callRegistration(server, { certificate: own, body })).status).toBe(201);
    const result = await check(body, own);
    expect(result).toMatchObject({ exitCode: 1 });
    expect(result.output).toContain('unapproved_software_statement: the software is registered');
  });

  it('takes signed requests, and does not use them up', async () => {
    const software_statement = await software.statement(signedDirectory);
    const body = await software.signed({ software_statement });
    expect((await check(body, certificate, ['--directory', signedDirectory])).exitCode).toBe(0);
    expect((await callRegistration(server, { certificate, body })).status).toBe(201);
  });

  it('may be held to one directory', async () => {
    const body = { software_statement: await software.statement() };
    const other = await check(body, certificate, ['--directory', signedDirectory]);
    expect(other.exitCode).toBe(1);
    expect(other.output).toContain('is no directory of ours');
    const unknown = await check(body, certificate, ['--directory', 'https://nobody.example.com']);
    expect(unknown).toMatchObject({ exitCode: 78, output: '' });
  });

  it('says what it can not read', async () => {
    const none = await check({}, { certificatePem: 'text', privateKeyPem: '' });
    expect(none).toMatchObject({ exitCode: 1, output: '' });
    expect(none.errors).toContain('there is no certificate in the file');
    const broken = await check('{');
    expect(broken.exitCode).toBe(1);
    expect(broken.output).toContain("the body can't be read");
  });
});

describe('The configuration check', () => {
  it('names what is wrong with the directories', async () => {
    const file = path.join(cli.environment['HOME'] ?? '', 'directories.json');
    await writeFile(file, '{"directories":[{"issuer":"x"}]}');
    const own = await commandLine({
      COUNTERSIGN_DIRECTORIES: file,
      COUNTERSIGN_REGISTRATION_SCOPE: 'registration',
    });
    const result = await own.run(['configuration', 'check']);
    expect(result).toMatchObject({ exitCode: 78 });
    expect(result.errors).toContain('COUNTERSIGN_DIRECTORIES');
    expect(result.errors).toContain('directories.0.keys');
    expect(result.errors).toContain('COUNTERSIGN_REGISTRATION_SCOPE and');
    await own.remove();
  });
});
