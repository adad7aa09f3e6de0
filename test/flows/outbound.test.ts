import { randomUUID } from 'node:crypto';
import type { webcrypto } from 'node:crypto';
import { createServer } from 'node:https';
import { SignJWT, decodeJwt, exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createTestCertificates } from '../support/certificates.ts';
import type { TestCertificates } from '../support/certificates.ts';
import { obtainTokens, openAuthorization, postForm } from '../support/journey.ts';
import type { JsonAnswer } from '../support/journey.ts';
import { discover } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';
import { createTestServers } from '../support/tls-servers.ts';

const listeners = createTestServers();
const reached: string[] = [];
/** Path → what the clients' server answers. */
const documents = new Map<string, string>();

/** How far the server's clock is ahead. */
let seconds = 0;
let server: AuthorizationServer;
let keys: { privateKey: webcrypto.CryptoKey; publicJwk: JWK };

beforeAll(async () => {
  const certificates = await createTestCertificates();
  const [listed, unlisted] = [await listen(certificates), await listen(certificates)];
  const at = (port: number, path: string) => `https://localhost:${String(port)}${path}`;
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  keys = { privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' } };
  const keySet = JSON.stringify({ keys: [keys.publicJwk] });
  documents.set('/jwks', keySet);
  documents.set('/too-long', keySet + ' '.repeat(300_000));
  documents.set('/sector', JSON.stringify(sectorUris));
  documents.set('/narrow-sector', JSON.stringify(sectorUris.slice(0, 1)));
  server = await startAuthorizationServer({
    clock: { now: () => new Date(systemClock.now().getTime() + seconds * 1000) },
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(listed)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: certificates.authority.certificatePem,
    },
    clients: [
      keyClient('by-reference', at(listed, '/jwks')),
      ...['rotating', 'changing', 'sleeping'].map((id) => keyClient(id, at(listed, `/${id}`))),
      keyClient('redirected', at(listed, '/redirect')),
      keyClient('too-long', at(listed, '/too-long')),
      keyClient('missing', at(listed, '/missing')),
      keyClient('unlisted', at(unlisted, '/jwks')),
      sectorClient('sector', at(listed, '/sector')),
      sectorClient('narrow-sector', at(listed, '/narrow-sector')),
      sectorClient('unlisted-sector', at(unlisted, '/sector')),
    ],
  });
});

afterAll(async () => {
  await server.stop();
  await listeners.close();
});

/** As some clients send it: a year. */
const headers = { 'content-type': 'application/json', 'cache-control': 'max-age=31536000' };
const sectorUris = ['https://one.example.com/callback', 'https://two.example.com/callback'];

function listen({ server: certificate }: TestCertificates): Promise<number> {
  const options = { cert: certificate.certificatePem, key: certificate.privateKeyPem };
  return listeners.listen(
    createServer(options, (request, response) => {
      const path = request.url ?? '';
      reached.push(`${String(request.socket.localPort)}${path}`);
      const document = documents.get(path);
      if (path === '/redirect') response.writeHead(302, { location: '/jwks' }).end();
      else if (document === undefined) response.writeHead(404).end();
      else response.writeHead(200, headers).end(document);
    }),
  );
}

function keyClient(id: string, jwksUri: string) {
  return {
    metadata: {
      client_id: id,
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks_uri: jwksUri,
    },
    permissions: { [accountsApi]: ['accounts'] },
  };
}

function sectorClient(id: string, sectorIdentifierUri: string) {
  return {
    metadata: {
      client_id: id,
      redirect_uris: sectorUris,
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
      subject_type: 'pairwise',
      sector_identifier_uri: sectorIdentifierUri,
    },
    permissions: { [accountsApi]: ['accounts'] },
  };
}

async function tokenFor(clientId: string, signer = keys, kid = 'k1'): Promise<JsonAnswer> {
  const assertion = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(server.issuer)
    .setIssuedAt(new Date(systemClock.now().getTime() + seconds * 1000))
    .setExpirationTime(new Date(systemClock.now().getTime() + (seconds + 60) * 1000))
    .sign(signer.privateKey);
  return postForm(server, '/token', {
    parameters: {
      grant_type: 'client_credentials',
      scope: 'accounts',
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    },
  });
}

async function expectReason(clientId: string, reason: RegExp): Promise<void> {
  await vi.waitFor(
    async () => {
      const rows = await stored<{ reason: string }>(
        server,
        `SELECT detail->>'reason' AS reason FROM audit_events WHERE client_id = '${clientId}'`,
      );
      expect(rows.map((row) => row.reason)).toContainEqual(expect.stringMatching(reason));
    },
    { timeout: 10_000 },
  );
}

describe("A client's key set", () => {
  it('is fetched from where the client keeps it, and not for every request', async () => {
    const before = reached.length;
    expect(await tokenFor('by-reference')).toMatchObject({ status: 200 });
    expect(await tokenFor('by-reference')).toMatchObject({ status: 200 });
    expect(reached.slice(before)).toHaveLength(1);
  });

  it.each([
    ['redirected', /failed to be refreshed/],
    ['too-long', /longer than 262144 bytes/],
    ['missing', /failed to be refreshed/],
  ])('that is %s opens nothing, and the caller does not learn why', async (id, reason) => {
    const { status, body } = await tokenFor(id);
    expect({ status, error: body['error'] }).toEqual({ status: 401, error: 'invalid_client' });
    expect(JSON.stringify(body)).not.toMatch(reason);
    await expectReason(id, reason);
  });

  it('at a private address that nobody has listed is not asked for', async () => {
    const before = reached.length;
    expect(await tokenFor('unlisted')).toMatchObject({ status: 401 });
    expect(reached.slice(before)).toEqual([]);
    await expectReason('unlisted', /not public/);
  });
});

describe("A client's key set that changes", () => {
  async function newKeys(kid: string): Promise<typeof keys> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    return { privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } };
  }
  const serve = (id: string, ...sets: (typeof keys)[]) =>
    documents.set(`/${id}`, JSON.stringify({ keys: sets.map(({ publicJwk }) => publicJwk) }));
  const fetches = (id: string) => reached.filter((line) => line.endsWith(`/${id}`)).length;

  it('is fetched once more for a key that is new, and once a minute at most', async () => {
    const next = await newKeys('k2');
    serve('rotating', keys);
    expect(await tokenFor('rotating')).toMatchObject({ status: 200 });
    serve('rotating', keys, next);
    expect(await tokenFor('rotating', next, 'k2')).toMatchObject({ status: 401 });
    expect(fetches('rotating')).toBe(1);
    seconds += 61;
    expect(await tokenFor('rotating', next, 'k2')).toMatchObject({ status: 200 });
    expect(await tokenFor('rotating', next, 'k9')).toMatchObject({ status: 401 });
    expect(await tokenFor('rotating', next, 'k9')).toMatchObject({ status: 401 });
    expect(await tokenFor('rotating')).toMatchObject({ status: 200 });
    expect(fetches('rotating')).toBe(2);
  });

  it('no longer opens with a key that was taken out of it, an hour later whatever max-age said', async () => {
    serve('changing', keys);
    expect(await tokenFor('changing')).toMatchObject({ status: 200 });
    serve('changing', await newKeys('k2'));
    seconds += 3601;
    expect(await tokenFor('changing')).toMatchObject({ status: 401 });
    expect(fetches('changing')).toBe(2);
  });

  it('goes on to count while its server is away, but no longer than an hour', async () => {
    serve('sleeping', keys);
    expect(await tokenFor('sleeping')).toMatchObject({ status: 200 });
    documents.delete('/sleeping');
    seconds += 3000;
    expect(await tokenFor('sleeping', keys, 'k9')).toMatchObject({ status: 401 });
    expect(await tokenFor('sleeping')).toMatchObject({ status: 200 });
    expect(fetches('sleeping')).toBe(2);
    seconds += 601;
    expect(await tokenFor('sleeping')).toMatchObject({ status: 401 });
    expect(await tokenFor('sleeping')).toMatchObject({ status: 401 });
    expect(fetches('sleeping')).toBe(3);
  });
});

describe("A client's sector document", () => {
  it('makes its redirect URIs one sector', async () => {
    const configuration = await discover(server, {
      id: 'sector',
      authentication: openid.None(),
    });
    const subjects: (string | undefined)[] = [];
    for (const redirectUri of sectorUris) {
      const { access_token } = await obtainTokens(server, configuration, {
        parameters: { redirect_uri: redirectUri, scope: 'openid accounts' },
      });
      subjects.push(decodeJwt(access_token).sub);
    }
    expect(new Set(subjects).size).toBe(1);
    expect(subjects).not.toContain(server.customer.id);
  });

  it.each(['narrow-sector', 'unlisted-sector'])(
    'that does not vouch for all of them (%s) stops the client',
    async (id) => {
      const page = await openAuthorization(server, {
        client_id: id,
        redirect_uri: sectorUris[1] ?? '',
        response_type: 'code',
        scope: 'openid',
      });
      expect(page.status).toBe(400);
      expect(new URL(page.url).origin).toBe(server.issuer);
    },
  );
});
