import { readFile } from 'node:fs/promises';
import { decodeJwt } from 'jose';
import type { Configuration } from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as tpp from '../../examples/tpp/tpp.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const redirectUri = 'https://tpp.example.com/callback';
const access = { redirectUri, resource: accountsApi, scope: 'openid accounts' };

let server: AuthorizationServer;
let connected: Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  connected = await connect(server.fetch(server.tpp));
});

afterAll(() => server.stop());

function connect(fetch: typeof globalThis.fetch): Promise<Configuration> {
  return tpp.connect({ issuer: server.issuer, clientId: 'tpp', redirectUri, fetch });
}

async function authorized() {
  const { url, checks } = await tpp.beginAuthorization(connected, access);
  return { checks, callback: await createCustomerAgent(server).authorize(url.href) };
}

async function customerTokens() {
  const { callback, checks } = await authorized();
  return tpp.finishAuthorization(connected, callback, checks);
}

const file = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8');

describe("the third parties' guide", () => {
  it('shows the code that these tests run', async () => {
    const source = await file('examples/tpp/tpp.ts');
    const guide = await file('docs/tpp-guide.md');
    const blocks = [...guide.matchAll(/^```ts\n(?<code>.*?)^```$/gms)];
    const shown = blocks.map(({ groups }) => groups?.['code'] ?? '');
    expect(shown).toHaveLength(7);
    expect(shown.filter((code) => !source.includes(code))).toEqual([]);
  });

  it('gets a token for the third party itself', async () => {
    const tokens = await tpp.clientCredentials(connected, {
      resource: accountsApi,
      scope: 'accounts payments',
    });
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      aud: accountsApi,
      sub: 'tpp',
      client_id: 'tpp',
      scope: 'accounts payments',
    });
    expect(tokens.refresh_token).toBeUndefined();
  });

  it('gets tokens for a customer, and refreshes without rotation', async () => {
    const tokens = await customerTokens();
    expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: server.customer.id });
    const refreshed = await tpp.refresh(connected, tokens.refresh_token ?? '');
    expect(refreshed.refresh_token).toBe(tokens.refresh_token);
    expect(refreshed.access_token).not.toBe(tokens.access_token);
  });

  it('revokes an access token alone, and everything with the refresh token', async () => {
    const { access_token: accessToken, refresh_token: refreshToken = '' } = await customerTokens();
    await tpp.revoke(connected, accessToken);
    await tpp.refresh(connected, refreshToken);
    await tpp.revoke(connected, refreshToken);
    await expect(tpp.refresh(connected, refreshToken)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  it('ends everything when a code is used twice', async () => {
    const { callback, checks } = await authorized();
    const tokens = await tpp.finishAuthorization(connected, callback, checks);
    const refused = { error: 'invalid_grant' };
    await expect(tpp.finishAuthorization(connected, callback, checks)).rejects.toMatchObject(
      refused,
    );
    await expect(tpp.refresh(connected, tokens.refresh_token ?? '')).rejects.toMatchObject(refused);
  });

  it.each([
    ['invalid_scope', { resource: accountsApi, scope: 'admin' }],
    ['invalid_scope', { resource: opaqueApi, scope: 'accounts' }],
    ['invalid_target', { resource: 'https://unknown.example.com', scope: 'accounts' }],
  ])('is told %s for %o', async (error, wanted) => {
    await expect(tpp.clientCredentials(connected, wanted)).rejects.toMatchObject({ error });
  });

  it('is told invalid_client without its certificate', async () => {
    const bare = await connect(server.fetch());
    const wanted = { resource: accountsApi, scope: 'accounts' };
    await expect(tpp.clientCredentials(bare, wanted)).rejects.toMatchObject({
      error: 'invalid_client',
      status: 401,
    });
  });

  it('is told when the customer says no', async () => {
    const { url, checks } = await tpp.beginAuthorization(connected, access);
    const agent = createCustomerAgent(server);
    const { username, password } = server.customer;
    const login = await agent.open(url.href);
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const callback = new URL((await agent.submit(consent, { decision: 'deny' })).url);
    await expect(tpp.finishAuthorization(connected, callback, checks)).rejects.toMatchObject({
      error: 'access_denied',
    });
  });

  it('gets an error page, not a redirect, for a redirect URI that is not registered', async () => {
    const { url } = await tpp.beginAuthorization(connected, {
      ...access,
      redirectUri: `${redirectUri}/`,
    });
    const page = await createCustomerAgent(server).open(url.href);
    expect(page).toMatchObject({ status: 400, url: url.href });
  });
});
