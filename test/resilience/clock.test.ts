import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { CryptoKey } from 'jose';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createCleanup } from '../../src/database/cleanup.ts';
import { openDatabase } from '../../src/database/client.ts';
import { authorize, callbacks, discoverWeb } from '../support/journey.ts';
import { oauthClient, publicClient, tokensOf } from '../support/oauth-client.ts';
import type { Sender } from '../support/oauth-client.ts';
import { discover } from '../support/openid.ts';
import { asserted, clientAssertion, post } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { introspect } from '../support/tokens.ts';

/** A clock that was wrong and is set right: once in each direction. */
const steps = [90, -90] as const;

let server: AuthorizationServer;
let robot: { kid: string; key: CryptoKey };

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  robot = { kid: await calculateJwkThumbprint(jwk), key: privateKey };
  server = await startAuthorizationServer({
    clients: [
      publicClient('spa', { [accountsApi]: ['accounts'] }),
      {
        metadata: {
          client_id: 'robot',
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ ...jwk, kid: robot.kid }] },
        },
        permissions: { [accountsApi]: ['accounts'] },
      },
    ],
  });
});

afterAll(() => server.stop());

afterEach(() => {
  vi.useRealTimers();
});

/** Everything on this machine that reads the time, the server and its engine, reads another one from now on. */
function stepClock(seconds: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
}

const senders = {
  web: (): Sender => ({ id: 'web', redirectUri: callbacks.web, secret: server.secrets.web }),
  spa: (): Sender => ({ id: 'spa', redirectUri: 'https://spa.example.com/callback' }),
};

async function configurationOf(id: 'web' | 'spa') {
  return id === 'web'
    ? discoverWeb(server)
    : discover(server, { id: 'spa', authentication: openid.None() });
}

async function newCode(id: 'web' | 'spa') {
  const { redirectUri } = senders[id]();
  const parameters = { redirect_uri: redirectUri, scope: 'openid accounts' };
  return authorize(server, await configurationOf(id), { parameters });
}

async function newTokens(id: 'web' | 'spa') {
  const client = oauthClient(server, senders[id]());
  return { client, ...tokensOf(await client.exchange(await newCode(id))) };
}

async function present(assertion: string) {
  const form = { grant_type: 'client_credentials', ...asserted(assertion) };
  return post(server.fetch(), `${server.issuer}/token`, { form });
}

describe.each(steps)('After the clock was stepped by %i s', (seconds) => {
  it('what was issued before still works, and so does everything new', async () => {
    const { client, access, refresh } = await newTokens('web');
    stepClock(seconds);
    expect((await introspect(server, access)).body).toMatchObject({ active: true });
    const refreshed = tokensOf(await client.refresh(refresh));
    expect((await introspect(server, refreshed.access)).body).toMatchObject({ active: true });
    const fresh = await newTokens('web');
    expect((await introspect(server, fresh.access)).body).toMatchObject({ active: true });
  });

  it('what was used is still used', async () => {
    const web = oauthClient(server, senders.web());
    const code = await newCode('web');
    expect((await web.exchange(code)).status).toBe(200);
    const rotated = await newTokens('spa');
    const successor = tokensOf(await rotated.client.refresh(rotated.refresh));
    stepClock(seconds);
    const refusal = { status: 400, body: { error: 'invalid_grant' } };
    expect(await web.exchange(code)).toMatchObject(refusal);
    expect(await rotated.client.refresh(rotated.refresh)).toMatchObject(refusal);
    expect((await introspect(server, successor.access)).body).toEqual({ active: false });
    expect(await rotated.client.refresh(successor.refresh)).toMatchObject(refusal);
  });

  it('what was revoked stays so', async () => {
    const { client, access, refresh } = await newTokens('web');
    await client.revoke(refresh);
    stepClock(seconds);
    expect((await introspect(server, access)).body).toEqual({ active: false });
    expect((await client.refresh(refresh)).status).toBe(400);
  });

  it('an assertion of before is good at most once, and refused cleanly where its time has come or not yet', async () => {
    const options = { clientId: 'robot', alg: 'ES256', audience: server.issuer, ...robot };
    const [used, unused] = [await clientAssertion(options), await clientAssertion(options)];
    expect((await present(used)).status).toBe(200);
    stepClock(seconds);
    const refused = { status: 401, body: { error: 'invalid_client' } };
    expect(await present(used)).toMatchObject(refused);
    expect(await present(unused)).toMatchObject(refused);
    expect((await present(await clientAssertion(options))).status).toBe(200);
  });
});

describe('A clock that goes wrong for a while', () => {
  it('does not make the server forget an assertion that is valid again when the clock is right', async () => {
    const options = { clientId: 'robot', alg: 'ES256', audience: server.issuer, ...robot };
    const assertion = await clientAssertion({
      ...options,
      claims: { exp: Math.floor(Date.now() / 1000) + 20 },
    });
    expect((await present(assertion)).status).toBe(200);
    stepClock(90);
    await cleanUp();
    vi.useRealTimers();
    expect(await present(assertion)).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
    });
  });
});

/** A run as every server makes it once a minute. */
async function cleanUp(): Promise<void> {
  const database = openDatabase({
    connection: server.database.connection,
    poolSize: 1,
    statementTimeoutMs: 5000,
    connectTimeoutMs: 5000,
    logger: silentLogger,
  });
  const cleanup = createCleanup({
    prisma: database.prisma,
    clock: { now: () => new Date() },
    logger: silentLogger,
    batchSize: 500,
    intervalMs: 60_000,
    onBacklog: () => undefined,
  });
  await cleanup.runOnce();
  await database.close();
}
