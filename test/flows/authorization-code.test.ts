import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { atOnce, authorize, callbacks, errorOf, introspect, postForm } from '../support/journey.ts';
import { authorizationRequest, discoverTpp } from '../support/openid.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
let twin: AuthorizationServer;
let tpp: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  twin = await startAuthorizationServer({ beside: server });
  tpp = await discoverTpp(server);
});

afterAll(async () => {
  await twin.stop();
  await server.stop();
});

afterEach(() => {
  vi.useRealTimers();
});

const forTpp = { redirect_uri: callbacks.tpp, scope: 'openid accounts', resource: accountsApi };

function exchange(code: string, rest: Record<string, string>, at = server) {
  const parameters = {
    grant_type: 'authorization_code',
    client_id: 'tpp',
    code,
    redirect_uri: callbacks.tpp,
    ...rest,
  };
  return postForm(at, '/token', { parameters, certificate: server.tpp });
}

describe('A TPP with a certificate', () => {
  it('gets tokens for a customer who logs in and consents', async () => {
    const request = await authorizationRequest(tpp, {
      ...forTpp,
      scope: 'openid profile accounts',
    });
    const callback = await createCustomerAgent(server).authorize(request.url);
    expect(callback.searchParams.get('iss')).toBe(server.issuer);
    const tokens = await openid.authorizationCodeGrant(tpp, callback, request.checks);

    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({
      alg: 'RS256',
      typ: 'at+jwt',
    });
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      iss: server.issuer,
      sub: server.customer.id,
      client_id: 'tpp',
      scope: 'openid profile accounts',
      amr: ['pwd'],
    });
    const claims = await openid.fetchUserInfo(tpp, tokens.access_token, server.customer.id);
    expect(claims).toMatchObject({ name: 'Casey Miller', sub: server.customer.id });

    const refreshed = await openid.refreshTokenGrant(tpp, tokens.refresh_token ?? '');
    expect(refreshed.refresh_token).toBe(tokens.refresh_token);
  });
});

describe('A code', () => {
  it.each([
    ['without a verifier', {}],
    ['with a wrong verifier', { code_verifier: openid.randomPKCECodeVerifier() }],
    ['with the challenge as verifier', { code_verifier: 'challenge' }],
  ])('is worth nothing %s', async (_, rest) => {
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    const challenge = await openid.calculatePKCECodeChallenge(codeVerifier);
    const sent = 'code_verifier' in rest && rest.code_verifier === 'challenge';
    const answer = await exchange(code, sent ? { code_verifier: challenge } : rest);
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it('is worth nothing with another redirect URI, or none', async () => {
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    const verified = { code_verifier: codeVerifier };
    const other = await exchange(code, { ...verified, redirect_uri: `${callbacks.tpp}/` });
    expect(other).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const none = await postForm(server, '/token', {
      parameters: { grant_type: 'authorization_code', client_id: 'tpp', code, ...verified },
      certificate: server.tpp,
    });
    expect(none).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    // Neither attempt has used it up: the rightful client is not locked out.
    expect(await exchange(code, verified)).toMatchObject({ status: 200 });
  });

  it('is worth nothing to another client, and stays good for the rightful one', async () => {
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    const stolen = await postForm(server, '/token', {
      parameters: {
        grant_type: 'authorization_code',
        code,
        redirect_uri: callbacks.tpp,
        code_verifier: codeVerifier,
      },
      basic: ['web', server.secrets.web],
    });
    expect(stolen).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await exchange(code, { code_verifier: codeVerifier })).toMatchObject({ status: 200 });
  });

  it.each([
    [58, 200],
    [61, 400],
  ])('after %i s is answered with %i', async (seconds, status) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    vi.setSystemTime(Date.now() + seconds * 1000);
    const answer = await exchange(code, { code_verifier: codeVerifier });
    expect(answer.status).toBe(status);
    expect(answer.body['error']).toBe(status === 200 ? undefined : 'invalid_grant');
  });

  it.each([
    ['JWT', accountsApi, 'accounts', 'accounts-rs'],
    ['opaque', opaqueApi, 'statements', 'opaque-rs'],
  ] as const)('used twice ends the %s access and refresh token', async (...row) => {
    const [, resource, scope, resourceServer] = row;
    const parameters = { redirect_uri: callbacks.tpp, scope, resource };
    const { code, codeVerifier } = await authorize(server, tpp, { parameters });
    const first = await exchange(code, { code_verifier: codeVerifier });
    const accessToken = String(first.body['access_token']);
    expect(await introspect(server, accessToken, resourceServer)).toMatchObject({ active: true });

    const second = await exchange(code, { code_verifier: codeVerifier }, twin);
    expect(second).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await introspect(server, accessToken, resourceServer)).toEqual({ active: false });
    const refreshed = openid.refreshTokenGrant(tpp, String(first.body['refresh_token']));
    expect(await errorOf(refreshed)).toBe('invalid_grant');
    await vi.waitFor(
      async () => {
        const events = await stored(
          server,
          `SELECT 1 FROM audit_events WHERE type = 'replay.detected' AND client_id = 'tpp'
         AND detail->>'kind' = 'AuthorizationCode'`,
        );
        expect(events.length).toBeGreaterThan(0);
      },
      { timeout: 10_000 },
    );
  });

  it('used 50 times at once on two servers gives tokens once, and those end', async () => {
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    const answers = await atOnce([server, twin], 50, (at) =>
      exchange(code, { code_verifier: codeVerifier }, at),
    );
    const [winner, ...others] = answers.filter(({ status }) => status === 200);
    expect(others).toEqual([]);
    const refusals = answers.filter((answer) => answer !== winner);
    expect(
      new Set(refusals.map(({ status, body }) => `${String(status)} ${String(body['error'])}`)),
    ).toEqual(new Set(['400 invalid_grant']));
    expect(await introspect(server, String(winner?.body['access_token']))).toEqual({
      active: false,
    });
    const refreshed = openid.refreshTokenGrant(tpp, String(winner?.body['refresh_token']));
    expect(await errorOf(refreshed)).toBe('invalid_grant');
  });
});

describe('Several resources', () => {
  it('are allowed together, and each token is for one of them', async () => {
    const { url, codeVerifier } = await authorizationRequest(tpp, {
      redirect_uri: callbacks.tpp,
      scope: 'accounts statements',
    });
    const both = new URL(url);
    for (const resource of [accountsApi, opaqueApi]) both.searchParams.append('resource', resource);
    const callback = await createCustomerAgent(server).authorize(both.href);
    const verified = { code_verifier: codeVerifier };
    const code = callback.searchParams.get('code') ?? '';
    const first = await exchange(code, { ...verified, resource: accountsApi });
    expect(decodeJwt(String(first.body['access_token']))).toMatchObject({
      aud: accountsApi,
      scope: 'accounts',
    });
    const refreshToken = String(first.body['refresh_token']);
    const second = await openid.refreshTokenGrant(tpp, refreshToken, { resource: opaqueApi });
    expect(await introspect(server, second.access_token, 'opaque-rs')).toMatchObject({
      active: true,
      aud: opaqueApi,
      scope: 'statements',
    });
    const byDefault = await openid.refreshTokenGrant(tpp, refreshToken);
    expect(decodeJwt(byDefault.access_token)).toMatchObject({ aud: accountsApi });
  });

  it('are not opened by a code that was for another one', async () => {
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    const answer = await exchange(code, { code_verifier: codeVerifier, resource: opaqueApi });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_target' } });
  });
});
