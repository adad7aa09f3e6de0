import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import {
  atOnce,
  authorize,
  callbacks,
  discoverApp,
  discoverWeb,
  errorOf,
  introspect,
  obtainTokens,
  openAuthorization,
  postForm,
} from '../support/journey.ts';
import { authorizationRequest, discoverTpp } from '../support/openid.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
let twin: AuthorizationServer;
let tpp: openid.Configuration;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  twin = await startAuthorizationServer({ beside: server });
  tpp = await discoverTpp(server);
  web = await discoverWeb(server);
});

afterAll(async () => {
  await twin.stop();
  await server.stop();
});

afterEach(() => {
  vi.useRealTimers();
});

const forTpp = { redirect_uri: callbacks.tpp, scope: 'openid accounts', resource: accountsApi };
const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts', resource: accountsApi };

/** The same request again by hand: what a library would not send can be said. */
async function rawRequest(parameters: Record<string, string | undefined>) {
  const { url } = await authorizationRequest(web, forWeb);
  const all = { ...Object.fromEntries(new URL(url).searchParams), ...parameters };
  return Object.entries(all).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
}

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

describe('An authorization request', () => {
  it.each([
    ['without a challenge', { code_challenge: undefined, code_challenge_method: undefined }],
    ['with the challenge method "plain"', { code_challenge_method: 'plain' }],
    ['with no method, which means "plain"', { code_challenge_method: undefined }],
    ['with a challenge that is not one', { code_challenge: 'short' }],
    ['with a request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }],
    ['with a request URI', { request_uri: 'https://web.example.com/request' }],
    ['with the unknown prompt', { prompt: 'everything' }],
    ['with prompt=none and another', { prompt: 'none login' }],
    ['with a broken max_age', { max_age: '-1' }],
    ['with claims that are not JSON', { claims: '{' }],
  ])('%s comes back refused', async (_, change) => {
    const page = await openAuthorization(server, await rawRequest(change));
    const { origin, pathname, searchParams } = new URL(page.url);
    expect(origin + pathname).toBe(callbacks.web);
    expect(page.status).toBe(303);
    expect(searchParams.get('error')).toMatch(
      /^(?:invalid_request|request(?:_uri)?_not_supported)$/,
    );
    expect(searchParams.get('iss')).toBe(server.issuer);
    expect(searchParams.get('state')).not.toBeNull();
    expect(searchParams.get('code')).toBeNull();
  });

  it.each(['token', 'id_token', 'code id_token', 'code token', 'none', 'id_token token', ''])(
    'for the response type "%s" gets no code and no token',
    async (type) => {
      const page = await openAuthorization(server, await rawRequest({ response_type: type }));
      const answer = new URL(page.url.replace('#', '?'));
      expect(answer.origin + answer.pathname).toBe(callbacks.web);
      expect(answer.searchParams.get('error')).toMatch(
        /^(?:unsupported_response_type|invalid_request|unauthorized_client)$/,
      );
      expect([...answer.searchParams.keys()]).not.toContain('code');
      expect([...answer.searchParams.keys()]).not.toContain('access_token');
    },
  );

  it.each(['jwt', 'query.jwt', 'web_message', 'nonsense'])(
    'for the response mode "%s" is refused',
    async (mode) => {
      const page = await openAuthorization(server, await rawRequest({ response_mode: mode }));
      expect(`${page.url}${page.html}`).not.toContain('code=');
      expect([303, 400]).toContain(page.status);
      if (page.status === 303) {
        const error = new URL(page.url).searchParams.get('error');
        expect(error).toMatch(/^(?:unsupported_response_mode|invalid_request)$/);
      }
    },
  );

  it('that says a parameter twice is refused', async () => {
    const parameters = [...(await rawRequest({})), ['scope', 'openid'] as [string, string]];
    const page = await openAuthorization(server, parameters);
    expect(new URL(page.url).searchParams.get('error')).toBe('invalid_request');
  });

  it('with an unknown scope goes on without it', async () => {
    const tokens = await obtainTokens(server, web, {
      parameters: { ...forWeb, scope: 'openid accounts no-such-scope' },
    });
    expect(tokens.scope?.split(' ')).not.toContain('no-such-scope');
    expect(decodeJwt(tokens.access_token)['scope']).toBe('openid accounts');
  });

  it('with a scope that the client may not have goes on without it', async () => {
    const agent = createCustomerAgent(server);
    const tokens = await obtainTokens(server, web, {
      parameters: { ...forWeb, scope: 'accounts payments admin' },
      agent,
    });
    expect(decodeJwt(tokens.access_token)['scope']).toBe('accounts');
  });

  it.each([
    ['that does not exist', 'https://nowhere.example.com'],
    ['on which the client has no permission', opaqueApi],
    ['that is not an absolute URI', 'accounts'],
    ['with a fragment', `${accountsApi}#x`],
  ])('for a resource %s is an invalid target', async (_, resource) => {
    const app = await discoverApp(server);
    const { url } = await authorizationRequest(app, {
      redirect_uri: callbacks.app,
      scope: 'accounts',
      resource,
    });
    const page = await createCustomerAgent(server).open(url);
    expect(new URL(page.url).searchParams.get('error')).toBe('invalid_target');
    expect(new URL(page.url).searchParams.get('iss')).toBe(server.issuer);
  });

  it('leaves with 303 from every step, and no answer is kept or leaks by referrer', async () => {
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, forWeb);
    const fetch = server.fetch();
    const started = await fetch(url);
    expect(started.status).toBe(303);
    const login = await agent.open(url);
    expect(login.headers.get('cache-control')).toContain('no-store');
    expect(login.headers.get('referrer-policy')).toMatch(/^(?:no-referrer|same-origin)$/);
    expect(login.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(login.headers.has('access-control-allow-origin')).toBe(false);
  });
});

describe('The customer', () => {
  it('is not asked when nobody may be asked', async () => {
    const agent = createCustomerAgent(server);
    const asked = async () =>
      new URL((await openAuthorization(server, await rawRequest({ prompt: 'none' }), agent)).url)
        .searchParams;
    expect((await asked()).get('error')).toBe('login_required');
    await authorize(server, web, { parameters: forWeb, agent });
    const silent = await asked();
    expect(silent.get('error')).toBeNull();
    expect(silent.get('code')).not.toBeNull();
  });

  it('is asked again by a client that can prove nothing', async () => {
    const app = await discoverApp(server);
    const agent = createCustomerAgent(server);
    const parameters = { redirect_uri: callbacks.app, scope: 'accounts' };
    await authorize(server, app, { parameters, agent });
    const { url } = await authorizationRequest(app, { ...parameters, prompt: 'none' });
    const page = await agent.open(url);
    expect(new URL(page.url).searchParams.get('error')).toBe('interaction_required');
  });

  it('logs in again when the login is older than max_age, and auth_time says so', async () => {
    const agent = createCustomerAgent(server);
    const first = await obtainTokens(server, web, { parameters: forWeb, agent });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 });
    const { url } = await authorizationRequest(web, { ...forWeb, max_age: '60' });
    const login = await agent.open(url);
    expect(login.html).toContain('name="password"');
    const again = await obtainTokens(server, web, {
      parameters: { ...forWeb, max_age: '60' },
      agent,
    });
    const at = (tokens: typeof first) => Number(decodeJwt(tokens.access_token)['auth_time']);
    expect(at(again)).toBeGreaterThanOrEqual(at(first) + 120);
    expect(decodeJwt(again.id_token ?? '')['auth_time']).toBe(at(again));
  });

  it('sees the name that the client hints at, in the language that it asks for', async () => {
    const hints = { login_hint: 'ca"sey', ui_locales: 'de-CH de' };
    const page = await openAuthorization(server, await rawRequest(hints));
    expect(page.html).toContain('<html lang="de"');
    expect(page.html).toMatch(/value="ca(?:&quot;|&#34;)sey"/);
  });

  it('can refuse, and the client learns it', async () => {
    const agent = createCustomerAgent(server);
    const { username, password } = server.customer;
    const login = await openAuthorization(server, await rawRequest({}), agent);
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const { searchParams } = new URL((await agent.submit(consent, { decision: 'deny' })).url);
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('iss')).toBe(server.issuer);
  });

  it('can cancel the login, and the client learns it', async () => {
    const agent = createCustomerAgent(server);
    const login = await openAuthorization(server, await rawRequest({}), agent);
    const { searchParams } = new URL((await agent.submit(login, { action: 'cancel' })).url);
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('iss')).toBe(server.issuer);
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
    await vi.waitFor(async () => {
      const events = await stored(
        server,
        `SELECT 1 FROM audit_events WHERE type = 'replay.detected' AND client_id = 'tpp'
         AND detail->>'kind' = 'AuthorizationCode'`,
      );
      expect(events.length).toBeGreaterThan(0);
    });
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
    const undecided = openid.refreshTokenGrant(tpp, refreshToken);
    expect(await errorOf(undecided)).toBe('invalid_target');
  });

  it('are not opened by a code that was for another one', async () => {
    const { code, codeVerifier } = await authorize(server, tpp, { parameters: forTpp });
    const answer = await exchange(code, { code_verifier: codeVerifier, resource: opaqueApi });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_target' } });
  });
});
