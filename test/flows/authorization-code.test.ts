import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { authorizationRequest, discoverTpp } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

describe('A TPP with a certificate', () => {
  it('gets tokens for a customer who logs in and consents', async () => {
    const configuration = await discoverTpp(server);
    const request = await authorizationRequest(configuration, {
      redirect_uri: 'https://tpp.example.com/callback',
      scope: 'openid profile accounts',
      resource: accountsApi,
    });
    const callback = await createCustomerAgent(server).authorize(request.url);
    expect(callback.searchParams.get('iss')).toBe(server.issuer);
    const tokens = await openid.authorizationCodeGrant(configuration, callback, request.checks);

    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ alg: 'RS256', typ: 'at+jwt' });
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      iss: server.issuer,
      sub: server.customer.id,
      client_id: 'tpp',
      scope: 'openid profile accounts',
      amr: ['pwd'],
    });
    const userinfo = await openid.fetchUserInfo(configuration, tokens.access_token, server.customer.id);
    expect(userinfo).toMatchObject({ name: 'Casey Miller', sub: server.customer.id });

    const refreshed = await openid.refreshTokenGrant(configuration, tokens.refresh_token ?? '');
    expect(refreshed.refresh_token).toBe(tokens.refresh_token);
  });
});
