import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Agent } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createCertificateAuthority } from '../../src/development/certificate-authority.ts';
import { developmentSecrets } from '../../src/development/material.ts';
import { createPrivateFiles } from '../../src/development/private-files.ts';
import { serverCertificate } from '../support/certificates.ts';
import { newKey, production } from '../support/production.ts';
import type { Environment, Production } from '../support/production.ts';
import { startProgram } from '../support/program.ts';

let bank: Production;
let safe: Production['safe'];

const key = newKey;

beforeAll(async () => {
  bank = await production();
  safe = bank.safe;
});

afterAll(() => bank.close());

async function file(name: string, text: string): Promise<string> {
  const target = path.join(bank.directory, name);
  await writeFile(target, text);
  return target;
}

async function refusal(changes: Environment, base?: Environment): Promise<string[]> {
  const { code, output, title, problems } = await bank.refusal(changes, base);
  expect([code, output, title]).toEqual([78, '', 'Countersign does not start:']);
  return problems;
}

describe('A start in production without any setting', () => {
  it('lists everything that is missing at once, each with its remedy', async () => {
    const keys = path.join(bank.directory, 'no-keys');
    const nothing = { COUNTERSIGN_ENV: 'production', COUNTERSIGN_KEYS_DIRECTORY: keys };
    const problems = await refusal({}, nothing);
    const expected = [
      /COUNTERSIGN_ISSUER is https:\/\/localhost:3443: set/,
      /COUNTERSIGN_MTLS_ORIGIN is https:\/\/localhost:3444: set/,
      /COUNTERSIGN_COOKIE_KEYS is not set: .*openssl rand -base64 32/,
      /COUNTERSIGN_ENCRYPTION_KEYS is not set: .*openssl/,
      /COUNTERSIGN_DIGEST_KEY is not set: .*openssl/,
      /COUNTERSIGN_MASTER_KEYS is not set: .*openssl/,
      /COUNTERSIGN_PAIRWISE_SALT is not set: .*openssl/,
      /COUNTERSIGN_TLS_CERTIFICATE is not set: give/,
      /COUNTERSIGN_TLS_PRIVATE_KEY is not set: give/,
      /COUNTERSIGN_CLIENT_TRUSTSTORE is not set: give/,
      /DATABASE_URL is not set: name your Postgres/,
    ];
    for (const [index, pattern] of expected.entries()) expect(problems[index]).toMatch(pattern);
    expect(problems).toHaveLength(expected.length);
  });

  it('is production also when only NODE_ENV says so', async () => {
    expect((await refusal({}, { NODE_ENV: 'production' })).length).toBeGreaterThan(8);
  });
});

describe('A start in production is refused for one fault alone:', () => {
  const expectRefusal = async (changes: Environment, pattern: RegExp) => {
    const problems = await refusal(changes);
    expect(problems).toEqual([expect.stringMatching(pattern)]);
    for (const value of Object.values(safe).filter((text) => text.length === 43)) {
      expect(problems.join()).not.toContain(value);
    }
  };

  it('plain http for either origin', async () => {
    await expectRefusal(
      { COUNTERSIGN_ISSUER: 'http://auth.bank.test' },
      /ISSUER is http:.*use an https/,
    );
    await expectRefusal(
      { COUNTERSIGN_MTLS_ORIGIN: 'http://mtls.bank.test' },
      /MTLS_ORIGIN is http:/,
    );
  });

  it('one origin for both listeners', async () => {
    await expectRefusal({ COUNTERSIGN_MTLS_ORIGIN: 'https://auth.bank.test' }, /is the same as/);
  });

  it('the origin of a developer’s machine', async () => {
    await expectRefusal(
      { COUNTERSIGN_ISSUER: 'https://localhost:8443' },
      /set the origin that clients use/,
    );
    await expectRefusal({ COUNTERSIGN_MTLS_ORIGIN: undefined }, /MTLS_ORIGIN is https:.*localhost/);
  });

  it('no database, unless the embedded one is allowed', async () => {
    await expectRefusal({ DATABASE_URL: undefined }, /DATABASE_URL is not set/);
  });

  it('requests that are given up before the database has answered', async () => {
    await expectRefusal(
      { COUNTERSIGN_REQUEST_TIME: '5', COUNTERSIGN_DATABASE_TIMEOUT_MS: '5000' },
      /REQUEST_TIME is 5 s.+5000 ms.+longer than COUNTERSIGN_DATABASE_TIMEOUT_MS/,
    );
  });

  it('a secret that repeats another, or is not random', async () => {
    const { COUNTERSIGN_DIGEST_KEY: digestKey } = safe;
    await expectRefusal(
      { COUNTERSIGN_PAIRWISE_SALT: digestKey },
      /PAIRWISE_SALT repeats a value of .*DIGEST/,
    );
    const weak = Buffer.alloc(32, 'secret').toString('base64url');
    await expectRefusal({ COUNTERSIGN_COOKIE_KEYS: weak }, /COOKIE_KEYS is not random/);
  });

  it('a secret that development created', async () => {
    const keys = path.join(bank.directory, 'keys');
    const secrets = developmentSecrets(createPrivateFiles(keys));
    await expectRefusal(
      { COUNTERSIGN_ENCRYPTION_KEYS: `${key()},${secrets.encryptionKey}` },
      /ENCRYPTION_KEYS is a secret that development created/,
    );
    await expectRefusal(
      { COUNTERSIGN_DIGEST_KEY: secrets.digestKey },
      /DIGEST_KEY is a secret that dev/,
    );
  });

  it('a secret of the wrong length', async () => {
    await expectRefusal(
      { COUNTERSIGN_COOKIE_KEYS: randomBytes(16).toString('base64url') },
      /must be 32 bytes/,
    );
    await expectRefusal({ COUNTERSIGN_DIGEST_KEY: '' }, /must be 32 bytes/);
  });

  it('a certificate of the CA that development creates', async () => {
    const authority = await createCertificateAuthority({ clock: systemClock });
    const { certificatePem, privateKeyPem } = await serverCertificate(authority, [
      'auth.bank.test',
    ]);
    await expectRefusal(
      { COUNTERSIGN_TLS_CERTIFICATE: certificatePem, COUNTERSIGN_TLS_PRIVATE_KEY: privateKeyPem },
      /TLS_CERTIFICATE is from the CA that development created/,
    );
    const truststore = [bank.certificates.authority.certificatePem, authority.certificatePem].join(
      '\n',
    );
    await expectRefusal(
      { COUNTERSIGN_CLIENT_TRUSTSTORE: truststore },
      /TRUSTSTORE holds the CA that dev/,
    );
  });

  it('a certificate that is none, or does not fit its key', async () => {
    await expectRefusal(
      { COUNTERSIGN_TLS_CERTIFICATE: 'nonsense' },
      /TLS_CERTIFICATE can't be read/,
    );
    await expectRefusal(
      { COUNTERSIGN_CLIENT_TRUSTSTORE: 'nonsense' },
      /CLIENT_TRUSTSTORE: .*no certificate/,
    );
    const other = await serverCertificate(bank.certificates.authority);
    await expectRefusal(
      { COUNTERSIGN_TLS_PRIVATE_KEY: other.privateKeyPem },
      /TLS_PRIVATE_KEY does not belong/,
    );
    await expectRefusal(
      { COUNTERSIGN_TLS_PRIVATE_KEY: 'nonsense' },
      /TLS_PRIVATE_KEY can't be read/,
    );
  });

  it('a variable that is no setting', async () => {
    await expectRefusal(
      { COUNTERSIGN_ISUER: 'https://x.test' },
      /COUNTERSIGN_ISUER is not a setting/,
    );
  });

  it('a file that can’t be read, and a value that is there twice', async () => {
    await expectRefusal(
      {
        COUNTERSIGN_TLS_PRIVATE_KEY: undefined,
        COUNTERSIGN_TLS_PRIVATE_KEY_FILE: '/nowhere/tls.key',
      },
      /TLS_PRIVATE_KEY_FILE can't be read: ENOENT/,
    );
    await expectRefusal(
      { COUNTERSIGN_DIGEST_KEY_FILE: await file('digest', key()) },
      /DIGEST_KEY and COUNTERSIGN_DIGEST_KEY_FILE are both set/,
    );
  });

  it.each([
    ['COUNTERSIGN_PORT', 'http'],
    ['COUNTERSIGN_PORT', '65536'],
    ['COUNTERSIGN_ENV', 'prod'],
    ['COUNTERSIGN_ISSUER', 'https://auth.bank.test/'],
    ['COUNTERSIGN_ISSUER', 'https://auth.bank.test/path'],
    ['COUNTERSIGN_ACCESS_TOKEN_TTL', '901'],
    ['COUNTERSIGN_AUTHORIZATION_CODE_TTL', '61'],
  ])('%s=%s', async (variable, value) => {
    await expectRefusal({ [variable]: value }, new RegExp(`^ {2}- ${variable} `));
  });
});

describe('Faults of both kinds', () => {
  it('are listed together', async () => {
    const problems = await refusal({
      COUNTERSIGN_PORT: 'x',
      COUNTERSIGN_TYPO: '1',
      COUNTERSIGN_COOKIE_KEYS: undefined,
      COUNTERSIGN_DIGEST_KEY: 'short',
      DATABASE_URL: undefined,
    });
    expect(problems.map((line) => /[A-Z_]{8,}/.exec(line)?.[0]).sort()).toEqual([
      'COUNTERSIGN_COOKIE_KEYS',
      'COUNTERSIGN_DIGEST_KEY',
      'COUNTERSIGN_PORT',
      'COUNTERSIGN_TYPO',
      'DATABASE_URL',
    ]);
  });
});

describe('A complete and safe configuration', () => {
  it('starts, with secrets from files, migrates, answers under its names and stops', async () => {
    const {
      COUNTERSIGN_TLS_PRIVATE_KEY: privateKey = '',
      COUNTERSIGN_DIGEST_KEY: digest,
      ...rest
    } = safe;
    const environment = {
      ...rest,
      COUNTERSIGN_TLS_PRIVATE_KEY_FILE: await file('tls.key', privateKey),
      COUNTERSIGN_DIGEST_KEY_FILE: await file('digest-key', `${digest ?? ''}\n`),
    };
    const program = startProgram({ environment });
    const operations = `http://127.0.0.1:${rest['COUNTERSIGN_OPERATIONS_PORT'] ?? ''}`;
    await program.answers(`${operations}/readyz`);
    const metrics = await (await fetch(`${operations}/metrics`)).text();
    expect(metrics).toMatch(/^countersign_info\{version="\d+\.\d+\.\d+"\} 1$/m);
    const agent = new Agent({
      connect: { ca: bank.certificates.authority.certificatePem, servername: 'auth.bank.test' },
    });
    // The host name is not in any DNS: the connection goes to this machine.
    const { dispatcher, port } = { dispatcher: agent, port: rest['COUNTERSIGN_PORT'] ?? '' };
    const answer = await dispatcher.request({
      origin: `https://127.0.0.1:${port}`,
      path: '/.well-known/openid-configuration',
      method: 'GET',
      headers: { host: 'auth.bank.test' },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['strict-transport-security']).toMatch(/max-age=63072000/);
    expect(await answer.body.json()).toMatchObject({
      issuer: 'https://auth.bank.test',
      token_endpoint: 'https://auth.bank.test/token',
    });
    await agent.close();
    expect(await program.stop()).toEqual({ code: 0, signal: null });
    // Nothing for newcomers, no secret, and every line of the log is JSON.
    expect(program.stdout()).not.toContain('development');
    const log = program.stdout() + program.stderr();
    for (const line of log.trim().split('\n'))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
    for (const secret of [digest, rest['COUNTERSIGN_COOKIE_KEYS']]) {
      expect(log).not.toContain(secret);
    }
  });
});
