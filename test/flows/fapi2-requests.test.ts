import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { codeIn, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey, FapiClient } from '../support/fapi.ts';
import { auditOf, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let key: ClientKey;
let client: FapiClient;
let other: FapiClient;
/** Another customer, with the same password. */
let robinId: string;

beforeAll(async () => {
  key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key), fapiRegistration('other', key)],
  });
  const robin = { username: 'robin', name: 'Robin Lane' };
  const { password } = server.customer;
  const stores = { ...server.running.app, clock: systemClock };
  robinId = (await addCustomer({ profile: robin, password }, stores)).id;
  const proofKey = await newClientKey();
  client = fapiClient(server, { id: 'bank-app', key, proofKey });
  other = fapiClient(server, { id: 'other', key, proofKey });
});

afterAll(() => server.stop());

const without = (name: string) =>
  Object.fromEntries(Object.entries(client.parameters).filter(([member]) => member !== name));

function expectError(answer: Answer, error: string): void {
  expect([answer.status, answer.body['error']]).toEqual([400, error]);
}

/** What an authorization request that was not pushed comes to. */
async function openPlain(parameters: Record<string, string>): Promise<URLSearchParams> {
  const query = new URLSearchParams({ client_id: client.id, ...parameters }).toString();
  const { status, headers } = await send(server.fetch(), `${server.issuer}/authorize?${query}`);
  expect(status).toBe(303);
  return new URL(headers.get('location') ?? '').searchParams;
}

/** A customer's browser that is logged in and has allowed everything, so that codes come at once. */
async function settledAgent() {
  const agent = createCustomerAgent(server);
  await client.authorize(client.parameters, agent);
  return agent;
}

describe('FAPI 2.0 Security Profile 5.3.2.2', () => {
  it.each(['token', 'id_token', 'code id_token', 'code token', 'none'])(
    '5.3.2.2-1: the response type "%s" is refused',
    async (response_type) => {
      const answer = await client.push({ ...client.parameters, response_type });
      expectError(answer, 'unsupported_response_type');
    },
  );

  it('5.3.2.2-2: a request is pushed by an authenticated client', async () => {
    const answer = await client.push(client.parameters);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toEqual({
      request_uri: expect.stringMatching(
        /^urn:ietf:params:oauth:request_uri:[\w-]{43}$/,
      ) as unknown,
      expires_in: expect.any(Number) as unknown,
    });
    const [event] = await auditOf(server, answer);
    expect(event).toMatchObject({ type: 'authorization.pushed', client_id: client.id });
    // Opened in its time it may be allowed an hour later, and must be known as used after that.
    const [kept] = await rows(
      server,
      `SELECT max(extract(epoch FROM expires_at - now()))::int AS seconds FROM artifacts
       WHERE kind = 'PushedAuthorizationRequest'`,
    );
    expect(kept?.['seconds']).toBeGreaterThan(3600);
    const stored = JSON.stringify(await rows(server, `SELECT t::text FROM artifacts t`));
    expect(stored).not.toContain(String(answer.body['request_uri']).split(':').at(-1));
  });

  it('5.3.2.2-3: a request that was not pushed is refused, signed or not', async () => {
    const plain = await openPlain(client.parameters);
    const request = await client.requestObject();
    const signed = await openPlain({ ...client.parameters, request });
    for (const answer of [plain, signed]) {
      expect([answer.get('error'), answer.get('iss'), answer.has('code')]).toEqual([
        'invalid_request',
        server.issuer,
        false,
      ]);
    }
  });

  it('5.3.2.2-4: a request pushed without authentication is refused, and recorded', async () => {
    const answer = await client.push(client.parameters, { assertion: false });
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_client']);
    const stolen = await client.push(client.parameters, {
      assertion: { key: (await newClientKey()).privateKey },
    });
    expect([stolen.status, stolen.body['error']]).toEqual([401, 'invalid_client']);
    const [event] = await auditOf(server, stolen);
    expect(event).toMatchObject({ type: 'client.authentication_failed', outcome: 'refused' });
  });

  it('5.3.2.2-5: PKCE with S256 is required', async () => {
    for (const parameters of [
      without('code_challenge'),
      without('code_challenge_method'),
      { ...client.parameters, code_challenge_method: 'plain' },
    ]) {
      const answer = await client.push(parameters);
      expectError(answer, 'invalid_request');
      expect((await auditOf(server, answer))[0]).toMatchObject({
        type: 'authorization.push_refused',
      });
    }
    const code = codeIn(await client.authorize());
    const wrong = await client.post('/token', {
      grant_type: 'authorization_code',
      code,
      code_verifier: 'x'.repeat(43),
      redirect_uri: client.parameters['redirect_uri'] ?? '',
    });
    expectError(wrong, 'invalid_grant');
  });

  it('5.3.2.2-6: redirect_uri is required, though there is only one', async () => {
    expectError(await client.push(without('redirect_uri')), 'invalid_request');
  });

  it('5.3.2.2-7: the response says who it comes from', async () => {
    expect((await client.authorize()).searchParams.get('iss')).toBe(server.issuer);
  });

  it('5.3.2.2-8: a redirect URI in http is refused', async () => {
    const http = { ...client.parameters, redirect_uri: 'http://bank-app.example.com/callback' };
    expectError(await client.push(http), 'invalid_request');
  });

  it('5.3.2.2-9: a code that comes again is refused, and what it gave ends', async () => {
    const code = codeIn(await client.authorize());
    const first = await client.exchange(code);
    expect(first.status).toBe(200);
    expectError(await client.exchange(code), 'invalid_grant');
    const refresh = {
      grant_type: 'refresh_token',
      refresh_token: String(first.body['refresh_token']),
    };
    expectError(await client.token(refresh), 'invalid_grant');
  });

  it('5.3.2.2-10 and -11: redirects are 303, never 307', async () => {
    const agent = await settledAgent();
    const arrival = await agent.open(await client.pushed());
    expect([arrival.status, new URL(arrival.url).searchParams.has('code')]).toEqual([303, true]);
    const toPage = await send(server.fetch(), await client.pushed());
    expect(toPage.status).toBe(303);
  });

  it('5.3.2.2-12: a request_uri is good for less than 600 seconds', async () => {
    const { body } = await client.push(client.parameters);
    const seconds = Number(body['expires_in']);
    expect(seconds).toBeGreaterThan(5);
    expect(seconds).toBeLessThan(600);
  });

  it('5.3.2.2-13: the customer is told who asks for what', async () => {
    const agent = createCustomerAgent(server);
    const login = await agent.open(await client.pushed());
    const { username, password } = server.customer;
    const consent = await agent.submit(login, { username, password, action: 'login' });
    expect(consent.html).toContain('Client bank-app');
    expect(consent.html).toContain('See your accounts');
  });

  it('5.3.2.2-14: nonce has room for 64 characters, state for more than 1,000', async () => {
    const nonce = 'n'.repeat(64);
    const state = 's'.repeat(1200);
    const callback = await client.authorize({ ...client.parameters, nonce, state });
    expect(callback.searchParams.get('state')).toBe(state);
    const { body } = await client.exchange(codeIn(callback));
    expect(decodeJwt(String(body['id_token']))['nonce']).toBe(nonce);
  });
});

describe('A pushed request', () => {
  it('can be opened again until it has led to a code, and not after', async () => {
    const url = await client.pushed();
    const first = createCustomerAgent(server);
    await first.open(url);
    const second = createCustomerAgent(server);
    const reloaded = await second.open(url);
    expect(reloaded.html).toContain('name="password"');
    expect((await first.authorize(url)).searchParams.has('code')).toBe(true);

    const again = await first.open(url);
    expect([again.status, again.html.includes('code=')]).toEqual([400, false]);
    // The other tab was open before: its login and consent lead to no second code.
    const late = await second.authorize(url).catch((error: unknown) => error);
    expect(late).toBeInstanceOf(Error);
    const { username, password } = server.customer;
    const consent = await second.submit(reloaded, { username, password, action: 'login' });
    const end = await second.submit(consent, { decision: 'allow' });
    expect(new URL(end.url).searchParams.get('error')).toBe('invalid_request_uri');
  });

  it('is good for the client that pushed it only', async () => {
    const url = new URL(await client.pushed());
    url.searchParams.set('client_id', other.id);
    const { status, html } = await createCustomerAgent(server).open(url.href);
    expect([status, html.includes('name="password"')]).toEqual([400, false]);
  });

  it('stands as it was pushed, whatever the browser adds', async () => {
    const url = new URL(await client.pushed());
    url.searchParams.set('scope', 'openid accounts payments');
    url.searchParams.set('state', 'changed');
    const callback = await createCustomerAgent(server).authorize(url.href);
    expect(callback.searchParams.get('state')).toBe('xyz');
    const { body } = await client.exchange(codeIn(callback));
    expect(body['scope']).toBe('openid accounts');
  });

  it('names its resource (RFC 8707), also an opaque one, and a foreign one is refused', async () => {
    const wanted = { ...client.parameters, scope: 'openid statements', resource: opaqueApi };
    const { body } = await client.exchange(codeIn(await client.authorize(wanted)));
    expect(String(body['access_token'])).not.toContain('.');
    expect(body['token_type']).toBe('DPoP');
    const foreign = { ...client.parameters, resource: 'https://elsewhere.example' };
    expectError(await client.push(foreign), 'invalid_target');
    const narrowed = await client.exchange(codeIn(await client.authorize()));
    const refresh = {
      grant_type: 'refresh_token',
      refresh_token: String(narrowed.body['refresh_token']),
    };
    expectError(await client.token({ ...refresh, resource: opaqueApi }), 'invalid_target');
    const same = await client.token({ ...refresh, resource: accountsApi });
    expect(same.status).toBe(200);
  });

  it('lets another customer log in at the consent page, and goes on with them', async () => {
    const agent = createCustomerAgent(server);
    const { username, password } = server.customer;
    const login = await agent.open(await client.pushed());
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const again = await agent.submit(consent, { decision: 'switch' });
    expect(again.html).toContain('name="password"');
    // Who was signed in is signed out by a form that browsers send by themselves.
    const robin = { username: 'robin', password, action: 'login' };
    const asked = await agent.submit(await agent.submit(again, robin), {});
    expect(asked.html).toContain('Robin Lane');
    const end = await agent.submit(asked, { decision: 'allow' });
    const { body } = await client.exchange(codeIn(new URL(end.url)));
    expect(decodeJwt(String(body['id_token'])).sub).toBe(robinId);
  });

  it('is not for browsers of other origins', async () => {
    const headers = { origin: 'https://evil.example' };
    const answer = await client.push(client.parameters, { headers });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const page = await send(server.fetch(), await client.pushed(), { headers });
    expect(page.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await send(server.fetch(), `${server.issuer}/authorize`, {
      method: 'OPTIONS',
      headers: { ...headers, 'access-control-request-method': 'GET' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('has a public client too, which proves nothing; the profile is what forbids it', async () => {
    const form = {
      ...client.parameters,
      client_id: 'app',
      redirect_uri: 'com.example.app:/callback',
    };
    const { status } = await other.push(form, { assertion: false });
    expect(status).toBe(201);
  });
});
