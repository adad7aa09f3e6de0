import { randomUUID } from 'node:crypto';
import type { webcrypto } from 'node:crypto';
import { createServer } from 'node:https';
import { SignJWT, decodeJwt, exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
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
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(listed)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: certificates.authority.certificatePem,
    },
    clients: [
      keyClient('by-reference', at(listed, '/jwks')),
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
      else response.writeHead(200, { 'content-type': 'application/json' }).end(document);
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

async function tokenFor(clientId: string): Promise<JsonAnswer> {
  const assertion = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(server.issuer)
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(keys.privateKey);
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
  await vi.waitFor(async () => {
    const rows = await stored<{ reason: string }>(
      server,
      `SELECT detail->>'reason' AS reason FROM audit_events WHERE client_id = '${clientId}'`,
    );
    expect(rows.map((row) => row.reason)).toContainEqual(expect.stringMatching(reason));
  });
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
