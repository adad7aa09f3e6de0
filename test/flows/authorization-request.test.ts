import { decodeJwt } from 'jose';
import type * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import {
  authorize,
  callbacks,
  discoverApp,
  discoverWeb,
  obtainTokens,
  openAuthorization,
} from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

afterEach(() => {
  vi.useRealTimers();
});

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts', resource: accountsApi };

async function loginsOf(outcome: string): Promise<number> {
  const text = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
  const line = new RegExp(`^countersign_logins_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(
    text,
  );
  return Number(line?.[1] ?? 0);
}

/** The same request again by hand: what a library would not send can be said. */
async function rawRequest(parameters: Record<string, string | undefined>) {
  const { url } = await authorizationRequest(web, forWeb);
  const all = { ...Object.fromEntries(new URL(url).searchParams), ...parameters };
  return Object.entries(all).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
}

describe('An authorization request', () => {
  it('by POST is the same request', async () => {
    const agent = createCustomerAgent(server);
    const body = new URLSearchParams(await rawRequest({}));
    const page = await agent.open(`${server.issuer}/authorize`, { method: 'POST', body });
    expect(page.html).toContain('name="password"');
    expect(page.html).toContain('Example Web');
  });

  it('by POST may name several resource servers (RFC 8707 §2), and nothing else twice', async () => {
    const both = await rawRequest({ scope: 'openid accounts statements' });
    const post = (more: [string, string]) =>
      createCustomerAgent(server).open(`${server.issuer}/authorize`, {
        method: 'POST',
        body: new URLSearchParams([...both, more]),
      });
    expect((await post(['resource', opaqueApi])).html).toContain('name="password"');
    expect((await post(['scope', 'accounts'])).status).toBe(400);
  });

  it.each([
    ['as it is', 'x'.repeat(7000), 303],
    ['escaped in the URL', '{'.repeat(3000), 413],
    ['too long for the form', 'x'.repeat(9000), 413],
  ])('by POST fits into a URL that is answered: %s', async (_, state, status) => {
    const fields = await rawRequest({ state: undefined });
    const body = `${new URLSearchParams(fields).toString()}&state=${state}`;
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const fetcher = server.fetch();
    const answer = await fetcher(`${server.issuer}/authorize`, { method: 'POST', body, headers });
    expect(answer.status).toBe(status);
    const location = answer.headers.get('location') ?? `${server.issuer}/jwks`;
    expect((await fetcher(location)).status).toBe(status === 303 ? 303 : 200);
  });

  it.each([
    ['without a challenge', { code_challenge: undefined, code_challenge_method: undefined }],
    ['with the challenge method "plain"', { code_challenge_method: 'plain' }],
    ['with no method, which means "plain"', { code_challenge_method: undefined }],
    ['with a challenge that is not one', { code_challenge: 'short' }],
    ['with an unsigned request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }],
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
      /^(?:invalid_request|invalid_request_object|request_uri_not_supported)$/,
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

  it.each(['web_message', 'web_message.jwt', 'nonsense'])(
    'for the response mode "%s" is refused',
    async (mode) => {
      const page = await openAuthorization(server, await rawRequest({ response_mode: mode }));
      expect(`${page.url}${page.html}`).not.toContain('code=');
      const { searchParams } = new URL(page.url);
      expect(searchParams.get('error')).toMatch(/^(?:unsupported_response_mode|invalid_request)$/);
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
    const cancelled = () => loginsOf('cancelled');
    const before = await cancelled();
    const { searchParams } = new URL((await agent.submit(login, { action: 'cancel' })).url);
    expect(await cancelled()).toBe(before + 1);
    expect(searchParams.get('error')).toBe('access_denied');
    expect(searchParams.get('iss')).toBe(server.issuer);
  });
});
