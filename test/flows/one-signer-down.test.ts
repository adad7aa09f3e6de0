import { decodeJwt } from 'jose';
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
      client_id: 'manager',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=tpp-1,O=Example TPP\\, Ltd,C=GB',
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

const shop = () => discover(server, { id: 'shop', authentication: openid.None() });

/** The client that manages its grants. */
const manager = () => {
  const authentication = openid.TlsClientAuth();
  return discover(server, { id: 'manager', authentication, certificate: server.tpp });
};

interface Wanted extends Record<string, string> {
  scope: string;
  resource: string;
}

/** A code; by default of the public client, whose refresh tokens rotate. `more` are further resource servers. */
async function code(parameters: Wanted, client = shop(), more: readonly string[] = []) {
  const configuration = await client;
  const request = await authorizationRequest(configuration, {
    ...{ redirect_uri: redirectUri, ...parameters },
  });
  const url = new URL(request.url);
  for (const resource of more) url.searchParams.append('resource', resource);
  const callback = await createCustomerAgent(server).authorize(url.href);
  return {
    configuration,
    redeem: () => openid.authorizationCodeGrant(configuration, callback, request.checks),
  };
}

const audienceOf = (token: string) => decodeJwt(token).aud;
const refusal = { cause: { status: 503 } };

describe('While what signs with PS256 is away', () => {
  it.each(['sealed', 'hanging'] as const)(
    'because it is %s, tokens that are signed by RS256 or not at all are issued',
    async (mood) => {
      await lose(mood);
      await service.behave(mood); // counts from here
      for (const resource of [accountsApi, opaqueApi]) {
        expect((await ask(resource)).status).toBe(200);
      }
      expect((await service.behave(mood)).asked).toBe(0);
      expect((await ask(otherApi)).body['error']).toBe('temporarily_unavailable');
      expect((await service.behave(mood)).asked).toBeGreaterThan(0);
    },
  );

  it('a code is used that needs no such signature', async () => {
    const { redeem } = await code({ scope: 'accounts', resource: accountsApi });
    await lose('sealed');
    const { access_token: token } = await redeem();
    expect(await verifies(server, token)).toBe(true);
  });

  it('a code and a refresh token for several resource servers are used where the token is for another', async () => {
    const wanted = { scope: 'accounts read', resource: otherApi };
    const { configuration, redeem } = await code(wanted, shop(), [accountsApi]);
    await lose('sealed');
    const first = await redeem();
    expect(audienceOf(first.access_token)).toBe(accountsApi);
    const next = await openid.refreshTokenGrant(configuration, first.refresh_token ?? '');
    expect(audienceOf(next.access_token)).toBe(accountsApi);
    const named = { resource: otherApi };
    const token = next.refresh_token ?? '';
    const refresh = () => openid.refreshTokenGrant(configuration, token, named);
    await expect(refresh()).rejects.toMatchObject(refusal);
    await service.behave('well');
    expect(audienceOf((await refresh()).access_token)).toBe(otherApi);
  });

  it('a code of a merged grant is kept or used by what the merge was about', async () => {
    const create = { grant_management_action: 'create' };
    const accounts = { scope: 'accounts', resource: accountsApi };
    const begun = await (await code({ ...accounts, ...create }, manager())).redeem();
    const merge = { grant_management_action: 'merge', grant_id: begun['grant_id'] as string };
    const other = await code({ scope: 'read', resource: otherApi, ...merge }, manager());
    await lose('sealed');
    await expect(other.redeem()).rejects.toMatchObject(refusal);
    await service.behave('well');
    expect(audienceOf((await other.redeem()).access_token)).toBe(otherApi);

    const again = await code({ ...accounts, ...merge }, manager());
    await lose('sealed');
    expect(audienceOf((await again.redeem()).access_token)).toBe(accountsApi);
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
