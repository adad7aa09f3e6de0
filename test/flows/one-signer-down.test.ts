import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { keyService } from '../support/key-service.ts';
import type { KeyService } from '../support/key-service.ts';
import { operatorBeside, verifies } from '../support/key-ring.ts';
import type { Operator } from '../support/key-ring.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { post } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { kidOf } from '../support/signing-world.ts';

const within = { timeout: 10_000, interval: 20 };
const redirectUri = 'https://shop.example.com/callback';
const otherApi = 'https://ps256.example.com';

/** RS256 keys are in the database, PS256 keys at a key service, which goes away. */
let service: KeyService;
let server: AuthorizationServer;
let operator: Operator;

const clients = [
  {
    metadata: {
      client_id: 'shop',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'PS256',
    },
    permissions: { [accountsApi]: ['accounts'], [otherApi]: ['read'] },
  },
  {
    metadata: {
      client_id: 'machine',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=tpp-1,O=Example TPP\\, Ltd,C=GB',
      id_token_signed_response_alg: 'PS256',
    },
    permissions: {
      [accountsApi]: ['accounts'],
      [opaqueApi]: ['statements'],
      [otherApi]: ['read'],
    },
  },
];

beforeAll(async () => {
  service = await keyService();
  const environment = { ...service.environment, COUNTERSIGN_SIGNER_TIMEOUT: '400' };
  server = await startAuthorizationServer({
    ...{ environment, clients, algorithms: ['PS256'] },
    resourceServers: [
      {
        ...{ identifier: otherApi, name: 'Another API', signingAlgorithm: 'PS256' },
        scopes: { read: { en: 'Read' } },
      },
    ],
  });
  operator = operatorBeside(server, systemClock, environment);
  const { kid } = await operator.rotation.rotate('PS256');
  await vi.waitUntil(async () => {
    const { body } = await ask(otherApi);
    return kidOf(String(body['access_token'])) === kid;
  }, within);
});

afterEach(async () => {
  await service.behave('well');
  await vi.waitUntil(async () => (await ask(otherApi)).status === 200, within);
});

afterAll(async () => {
  await operator.close();
  await server.stop();
  await service.close();
});

const ask = (resource: string) =>
  post(server.fetch(server.tpp), `${server.mtlsOrigin}/token`, {
    form: { grant_type: 'client_credentials', client_id: 'machine', resource },
  });

/** The request that finds out. */
async function lose(mood: 'sealed' | 'hanging'): Promise<void> {
  await service.behave(mood);
  expect((await ask(otherApi)).status).toBe(503);
}

/** A code of the public client, whose refresh tokens rotate. */
async function code(parameters: { scope: string; resource: string }) {
  const configuration = await discover(server, { id: 'shop', authentication: openid.None() });
  const request = await authorizationRequest(configuration, {
    ...{ redirect_uri: redirectUri, ...parameters },
  });
  const callback = await createCustomerAgent(server).authorize(request.url);
  return {
    configuration,
    redeem: () => openid.authorizationCodeGrant(configuration, callback, request.checks),
  };
}

const refusal = { cause: { status: 503 } };

describe('While what signs with PS256 is away', () => {
  it.each(['sealed', 'hanging'] as const)(
    'because it is %s, tokens that are signed by RS256 or not at all are issued',
    async (mood) => {
      await lose(mood);
      const begun = performance.now();
      for (const resource of [accountsApi, opaqueApi]) {
        expect((await ask(resource)).status).toBe(200);
      }
      expect(performance.now() - begun).toBeLessThan(400);
      expect((await ask(otherApi)).body['error']).toBe('temporarily_unavailable');
    },
  );

  it('a code is used that needs no such signature', async () => {
    const { redeem } = await code({ scope: 'accounts', resource: accountsApi });
    await lose('sealed');
    const { access_token: token } = await redeem();
    expect(await verifies(server, token)).toBe(true);
  });

  it.each([
    ['for the ID token', { scope: 'openid accounts', resource: accountsApi }],
    ['for the access token', { scope: 'read', resource: otherApi }],
  ])('a code and a refresh token that need one %s are kept', async (_for, parameters) => {
    const first = await code(parameters);
    await lose('sealed');
    await expect(first.redeem()).rejects.toMatchObject(refusal);
    await service.behave('well');
    const { refresh_token: token = '' } = await first.redeem();

    await lose('sealed');
    const refresh = () => openid.refreshTokenGrant(first.configuration, token);
    await expect(refresh()).rejects.toMatchObject(refusal);
    await service.behave('well');
    const { refresh_token: next, access_token: accessToken } = await refresh();
    expect(next).not.toBe(token);
    expect(await verifies(server, accessToken)).toBe(true);
  });
});
