import { createServer } from 'node:https';
import { connect } from 'node:tls';
import type { SecureVersion } from 'node:tls';
import { decodeProtectedHeader, exportJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { appSettings } from '../../src/startup/app-settings.ts';
import { createTestCertificates } from '../support/certificates.ts';
import { codeIn, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey } from '../support/fapi.ts';
import { forgeries } from '../support/forged-jwt.ts';
import { asserted, send } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { createTestServers } from '../support/tls-servers.ts';

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] as const;
type Algorithm = (typeof algorithms)[number];

const listeners = createTestServers();
let server: AuthorizationServer;
let keys: Record<Algorithm, ClientKey>;
let proofKey: ClientKey;

beforeAll(async () => {
  const made = await Promise.all(
    algorithms.map(async (alg) => [alg, await newClientKey(alg)] as const),
  );
  keys = Object.fromEntries(made) as typeof keys;
  proofKey = await newClientKey();
  const all = { keys: made.map(([, { jwk }]) => jwk) };
  const published = await publish();
  server = await startAuthorizationServer({
    algorithms: ['PS256', 'ES256'],
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(published.port)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: published.authority,
    },
    clients: [
      fapiRegistration('bank-app', keys.ES256, { jwks: all }),
      fapiRegistration('remote', keys.ES256, {
        jwks: undefined,
        jwks_uri: `https://localhost:${String(published.port)}/jwks`,
      }),
    ],
  });
});

afterAll(async () => {
  await server.stop();
  await listeners.close();
});

/** A client's key set on its own server, with one kid for two keys of different types. */
async function publish(): Promise<{ port: number; authority: string }> {
  const certificates = await createTestCertificates();
  const { certificatePem: cert, privateKeyPem: key } = certificates.server;
  const twins = [keys.PS256.jwk, keys.ES256.jwk].map((jwk) => ({ ...jwk, kid: 'same' }));
  const port = await listeners.listen(
    createServer({ cert, key }, (_request, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: twins }));
    }),
  );
  return { port, authority: certificates.authority.certificatePem };
}

const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
const client = (id = 'bank-app') => fapiClient(server, { id, key: keys.ES256, proofKey });

const signedBy = (alg: Algorithm) => ({
  assertion: { alg, key: keys[alg].privateKey, kid: keys[alg].kid },
});

/** Whether a TLS connection comes about. */
function handshake(
  port: number,
  options: { maxVersion?: SecureVersion; minVersion?: SecureVersion; ciphers?: string },
): Promise<boolean> {
  return new Promise((resolve) => {
    const ca = server.certificates.authority.certificatePem;
    const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ca, ...options });
    socket.on('secureConnect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => {
      resolve(false);
    });
  });
}

describe('FAPI 2.0 Security Profile 5.2: the network', () => {
  it.each(['public', 'mtls'] as const)(
    '5.2 N1 and N4: the %s listener speaks TLS 1.2 or later, with the recommended suites only',
    async (listener) => {
      const port = server.running.ports[listener];
      const legacy = 'ALL:@SECLEVEL=0';
      const tls12 = (ciphers: string) => ({ maxVersion: 'TLSv1.2', ciphers }) as const;
      expect([
        await handshake(port, { minVersion: 'TLSv1.3' }),
        await handshake(port, tls12('ECDHE-ECDSA-AES128-GCM-SHA256')),
        await handshake(port, tls12('ECDHE-ECDSA-AES128-SHA')),
        await handshake(port, tls12('ECDHE-ECDSA-CHACHA20-POLY1305')),
        await handshake(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: legacy }),
      ]).toEqual([true, true, false, false, false]);
    },
  );

  it('5.2 N5: in production browsers are told to stay with https', () => {
    const loaded = loadConfiguration({ COUNTERSIGN_ENV: 'production' });
    if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
    expect(appSettings(loaded.configuration, server.material).hstsMaxAgeSeconds).toBeGreaterThan(
      31_536_000,
    );
  });

  it('5.2 N6: no other origin may call the authorization endpoint', async () => {
    const headers = { origin: 'https://bank-app.example.com' };
    const answer = await send(server.fetch(), await client().pushed(), { headers });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('5.2 N7: endpoints for clients with certificates are named as aliases', async () => {
    const { body } = await send(
      server.fetch(),
      `${server.issuer}/.well-known/oauth-authorization-server`,
    );
    const aliases = Object.values(body['mtls_endpoint_aliases'] as Record<string, string>);
    expect(aliases.length).toBeGreaterThan(4);
    expect(aliases.every((url) => url.startsWith(server.mtlsOrigin))).toBe(true);
  });
});

describe('FAPI 2.0 Security Profile 5.4: cryptography', () => {
  it('5.4 C1 and C3: a forged, unsigned or misused JWT is refused (RFC 8725)', async () => {
    const now = epochSeconds(systemClock);
    const jwk = { ...keys.ES256.jwk, ...(await privateMembers(keys.ES256)) };
    const payload = {
      iss: 'bank-app',
      sub: 'bank-app',
      aud: server.issuer,
      jti: 'forged',
      exp: now + 60,
    };
    const forged = forgeries({ jwk, alg: 'ES256' }, { header: {}, payload }, 'https://127.0.0.1/');
    for (const [name, jwt] of Object.entries(forged)) {
      const { status, body } = await client().token(
        { ...form, ...asserted(jwt) },
        { assertion: false },
      );
      expect([name, status >= 400 && status < 500, body['access_token']]).toEqual([
        name,
        true,
        undefined,
      ]);
    }
  });

  it('5.4 C1: a JWT of another type is no assertion', async () => {
    const object = await client().requestObject({ sub: 'bank-app', jti: 'one' });
    const answer = await client().token({ ...form, ...asserted(object) }, { assertion: false });
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_client']);
  });

  it.each(algorithms.filter((alg) => alg !== 'RS256'))(
    '5.4 C2: %s is accepted, in assertions and request objects',
    async (alg) => {
      const one = client();
      expect((await one.token(form, signedBy(alg))).status).toBe(200);
      const request = await one.requestObject({}, { key: keys[alg] });
      expect((await one.push({ request }, signedBy(alg))).status).toBe(201);
    },
  );

  it('5.4 C2: RS256 is refused though the client has such a key', async () => {
    const one = client();
    const answer = await one.token(form, signedBy('RS256'));
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_client']);
    const request = await one.requestObject({}, { key: keys.RS256 });
    const pushed = await one.push({ request });
    expect([pushed.status, pushed.body['error']]).toEqual([400, 'invalid_request_object']);
  });

  it('5.4 C2: ID tokens are not signed with RS256', async () => {
    const one = client();
    const { body } = await one.exchange(codeIn(await one.authorize()));
    expect(decodeProtectedHeader(String(body['id_token'])).alg).toBe('PS256');
  });

  it('5.4 C4 and C5: keys of clients and of ours are strong', async () => {
    const { body } = await send(server.fetch(), `${server.issuer}/jwks`);
    const own = body['keys'] as { kty: string; n?: string; crv?: string }[];
    for (const { kty, n = '', crv } of own) {
      const isStrong = kty === 'RSA' ? n.length >= 342 : ['P-256', 'Ed25519'].includes(crv ?? '');
      expect(isStrong).toBe(true);
    }
    const weak = { kty: 'RSA', e: 'AQAB', n: 'w'.repeat(171), kid: 'weak' };
    const { metadata } = fapiRegistration('x', keys.ES256, { jwks: { keys: [weak] } });
    expect(() => parseClientMetadata(metadata)).toThrow('2048');
  });

  it('5.4 C6: credentials carry 128 bits of chance and more', async () => {
    const one = client();
    const url = new URL(await one.pushed());
    const code = codeIn(await one.authorize());
    const { body } = await one.exchange(code);
    const uri = url.searchParams.get('request_uri')?.split(':').at(-1) ?? '';
    for (const credential of [code, uri, String(body['refresh_token'])]) {
      expect(credential).toMatch(/^[\w-]{43,}$/);
    }
  });

  it('5.4 C7: key sets come over TLS, name no other address, and ours has each kid once', async () => {
    const { body } = await send(server.fetch(), `${server.issuer}/jwks`);
    const own = body['keys'] as Record<string, unknown>[];
    expect(new Set(own.map(({ kid }) => kid)).size).toBe(own.length);
    expect(own.some((key) => 'x5u' in key || 'jku' in key)).toBe(false);
    const plain = fapiRegistration('x', keys.ES256, {
      jwks: undefined,
      jwks_uri: 'http://x.example/jwks',
    });
    expect(() => parseClientMetadata(plain.metadata)).toThrow('jwks_uri');
  });

  it('5.4 C7: of keys with one kid in a client’s key set the fitting one is taken', async () => {
    for (const alg of ['ES256', 'PS256'] as const) {
      const assertion = { alg, key: keys[alg].privateKey, kid: 'same' };
      const { status, text } = await client('remote').token(form, { assertion });
      expect([alg, status, status === 200 ? '' : text]).toEqual([alg, 200, '']);
    }
  });
});

async function privateMembers({ privateKey }: ClientKey): Promise<{ d: string }> {
  return { d: (await exportJWK(privateKey)).d ?? '' };
}
