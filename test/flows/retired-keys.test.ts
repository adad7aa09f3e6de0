import { createLocalJWKSet } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const ps256Api = 'https://ps256.example.com';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer({
    retiredAlgorithms: ['PS256'],
    resourceServers: [
      {
        identifier: ps256Api,
        name: 'PS256 API',
        signingAlgorithm: 'PS256',
        scopes: { read: { en: 'Read' } },
      },
    ],
    clients: [
      {
        metadata: {
          client_id: 'ps256-client',
          redirect_uris: [],
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_auth_subject_dn: 'CN=tpp-1,O=Example TPP\\, Ltd,C=GB',
        },
        permissions: { [ps256Api]: ['read'] },
      },
    ],
  });
});

afterAll(() => server.stop());

describe('A retired key', () => {
  it('is published, so that what it signed still verifies', async () => {
    const response = await server.fetch()(`${server.issuer}/jwks`);
    const keySet = (await response.json()) as JSONWebKeySet;
    expect(keySet.keys.map(({ alg }) => alg).sort()).toEqual(['PS256', 'RS256']);
    expect(() => createLocalJWKSet(keySet)).not.toThrow();
  });

  it('is no longer promised', async () => {
    const response = await server.fetch()(`${server.issuer}/.well-known/openid-configuration`);
    expect(await response.json()).toMatchObject({
      id_token_signing_alg_values_supported: ['RS256'],
    });
  });

  it('signs nothing: a resource server that wants its algorithm gets no token', async () => {
    const response = await server.fetch(server.tpp)(`${server.mtlsOrigin}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: 'ps256-client',
        resource: ps256Api,
      }),
    });
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ error: 'server_error' });
    expect(await server.log.raw()).toContain(`no key signs PS256 for ${ps256Api}`);
  });
});
