import { createServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { createTestServers } from '../support/tls-servers.ts';
import { complaints, scanTls } from './support/testssl.ts';
import type { Finding } from './support/testssl.ts';

/** Protocols, cipher categories, forward secrecy, preferences, defaults, headers, vulnerabilities. */
const everything = ['-p', '-s', '-f', '-P', '-S', '-h', '-U'];

/** What does not count, and why. */
const excused = {
  engine_problem: "about testssl.sh's own OpenSSL",
  sessionresumption_ticket: 'its client hangs up before the session tickets of TLS 1.3 arrive',
  HSTS: 'production only; test/flows/production-start.test.ts looks at it',
  cert_revocation: "the test authority's certificates name no CRL and no OCSP responder",
};

let server: AuthorizationServer;
const others = createTestServers();
let found: Record<'public' | 'mTLS', Finding[]>;

beforeAll(async () => {
  server = await startAuthorizationServer({
    // testssl.sh names no port in the Host header, as if it were the usual one.
    environment: {
      COUNTERSIGN_ISSUER: 'https://localhost',
      COUNTERSIGN_MTLS_ORIGIN: 'https://127.0.0.1',
    },
  });
  const { ports } = server.running;
  const [atPublic, atMtls] = await Promise.all([
    scanTls(`localhost:${String(ports.public)}/.well-known/openid-configuration`, scan()),
    scanTls(`127.0.0.1:${String(ports.mtls)}/jwks`, scan()),
  ]);
  found = { public: atPublic, mTLS: atMtls };
}, 180_000);

afterAll(async () => {
  await others.close();
  await server.stop();
});

const scan = () => ({ checks: everything, trusted: server.certificates.authority });

/** Id → what was found. */
const byId = (findings: readonly Finding[]) =>
  Object.fromEntries(findings.map(({ id, finding }) => [id, finding]));

describe.each(['public', 'mTLS'] as const)('testssl.sh at the %s listener', (listener) => {
  it('has nothing to complain about', () => {
    expect(complaints(found[listener], Object.keys(excused))).toEqual([]);
    expect(byId(found[listener])).toHaveProperty('scanTime');
  });

  it('is offered TLS 1.2 and 1.3 only, with the suites of RFC 9325', () => {
    expect(byId(found[listener])).toMatchObject({
      SSLv2: 'not offered',
      SSLv3: 'not offered',
      TLS1: 'not offered',
      TLS1_1: 'not offered',
      TLS1_2: 'offered',
      TLS1_3: 'offered with final',
      ALPN: 'http/1.1',
      cipher_order: 'server',
      cipherorder_TLSv1_2: 'ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384',
      cipherorder_TLSv1_3:
        'TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256',
      cert_chain_of_trust: 'passed.',
    });
  });

  it.each([
    'heartbleed',
    'CCS',
    'ticketbleed',
    'ROBOT',
    'secure_client_renego',
    'CRIME_TLS',
    'BREACH',
    'POODLE_SSL',
    'SWEET32',
    'FREAK',
    'DROWN',
    'LOGJAM',
    'BEAST',
    'LUCKY13',
    'RC4',
  ])('finds it not vulnerable to %s', (id) => {
    expect(byId(found[listener])[id]).toMatch(/^not vulnerable/);
  });
});

describe('testssl.sh at a server that is too easy-going', () => {
  it('complains', async () => {
    const { server: certificate } = server.certificates;
    const weak = createServer({
      cert: certificate.certificatePem,
      key: certificate.privateKeyPem,
      minVersion: 'TLSv1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    const findings = await scanTls(`localhost:${String(await others.listen(weak))}`, {
      ...scan(),
      checks: ['-p'],
    });
    expect(complaints(findings, Object.keys(excused)).join('\n')).toMatch(/ TLS1: offered/);
  });
});
