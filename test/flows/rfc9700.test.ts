import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { changePassword } from '../../src/customers/change-password.ts';
import { systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { codeIn, fapiClient, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
import { publicClient } from '../support/oauth-client.ts';
import { basic, post, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

let server: AuthorizationServer;
/** A client with a secret, and a public one; both `baseline`. */
let web: FapiClient;
let spa: FapiClient;
let metadata: Record<string, unknown>;

const openidConfiguration = '/.well-known/openid-configuration';

beforeAll(async () => {
  const key = await newClientKey();
  server = await startAuthorizationServer({
    clients: [publicClient('spa', { [accountsApi]: ['accounts'] })],
  });
  const plain = { key, proofKey: false, asserts: false } as const;
  web = fapiClient(server, { id: 'web', ...plain });
  spa = fapiClient(server, { id: 'spa', ...plain });
  metadata = (await send(server.fetch(), server.issuer + openidConfiguration)).body;
});

afterAll(() => server.stop());

const address = (parameters: Record<string, string | undefined>) => {
  const present = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return `${server.issuer}/authorize?${new URLSearchParams(present as [string, string][]).toString()}`;
};
const plainRequest = (of: FapiClient, changes: Record<string, string | undefined> = {}) =>
  address({ client_id: of.id, ...of.parameters, ...changes });

const asWeb = () => ({ headers: basic('web', server.secrets.web) });

async function codeOf(of: FapiClient, agent = createCustomerAgent(server)): Promise<string> {
  return codeIn(await agent.authorize(plainRequest(of)));
}

/** `web` has its secret in a header, and no client_id beside it. */
async function exchange(of: FapiClient, code: string): Promise<Answer> {
  return of.id === 'web' ? of.exchange(code, asWeb()) : of.exchange(code);
}

async function tokensFor(of: FapiClient) {
  const { status, body, text } = await exchange(of, await codeOf(of));
  if (status !== 200) throw new Error(text);
  return { access: String(body['access_token']), refresh: String(body['refresh_token']), body };
}

const refresh = (of: FapiClient, token: string) =>
  of.token(
    { grant_type: 'refresh_token', refresh_token: token },
    of.id === 'web' ? asWeb() : undefined,
  );

describe('RFC 9700', () => {
  it.each([
    'https://web.example.com/callback/',
    'https://web.example.com/callback?x=1',
    'https://WEB.example.com/callback',
    'https://web.example.com:443/callback',
    'https://web.example.com/other/../callback',
  ])('RFC 9700-1: redirect URIs match exactly; %s does not', async (redirect_uri) => {
    const answer = await send(server.fetch(), plainRequest(web, { redirect_uri }));
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
  });

  it('RFC 9700-1: the port is free for native applications on a loopback address only', async () => {
    const native = { client_id: 'app', redirect_uri: 'http://127.0.0.1:51004/callback' };
    const answer = await send(server.fetch(), plainRequest(web, native));
    expect(answer.status).toBe(303);
  });

  it('RFC 9700-2: no address in a request is where anybody is sent', async () => {
    const evil = 'https://evil.example/';
    for (const name of ['redirect_uri', 'return_to', 'post_logout_redirect_uri', 'request_uri']) {
      const { status, headers } = await send(server.fetch(), plainRequest(web, { [name]: evil }));
      expect([name, status >= 300, headers.get('location')?.startsWith(evil) ?? false]).toEqual([
        name,
        true,
        false,
      ]);
    }
  });

  it('RFC 9700-3: PKCE is required, its verifier checked, and neither can be left out alone', async () => {
    expect(metadata['code_challenge_methods_supported']).toEqual(['S256']);
    const without = { code_challenge: undefined, code_challenge_method: undefined };
    const refused = await send(server.fetch(), plainRequest(web, without));
    expect(refused.headers.get('location')).toContain('error=invalid_request');
    const redirect_uri = web.parameters['redirect_uri'] ?? '';
    const form = { grant_type: 'authorization_code', redirect_uri };
    for (const verifier of [{}, { code_verifier: 'x'.repeat(43) }]) {
      const answer = await web.token({ ...form, code: await codeOf(web), ...verifier }, asWeb());
      expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_grant']);
    }
  });

  it('RFC 9700-4: there is neither the implicit nor the password grant', async () => {
    expect(metadata['response_types_supported']).toEqual(['code']);
    const implicit = await send(server.fetch(), plainRequest(web, { response_type: 'token' }));
    expect(implicit.headers.get('location')).toMatch(/error=/);
    const { username, password } = server.customer;
    const form = { grant_type: 'password', username, password };
    expect((await web.token(form, asWeb())).body['error']).toBe('unsupported_grant_type');
  });

  it('RFC 9700-5: every client may bind its tokens, and metadata says how', () => {
    expect(metadata).toMatchObject({
      tls_client_certificate_bound_access_tokens: true,
      dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']) as unknown,
    });
  });

  it('RFC 9700-6: refresh tokens of public clients rotate, and a replay ends them', async () => {
    const { refresh: first } = await tokensFor(spa);
    const second = await refresh(spa, first);
    const successor = String(second.body['refresh_token']);
    expect([second.status, successor === first]).toEqual([200, false]);
    expect((await refresh(spa, first)).body['error']).toBe('invalid_grant');
    expect((await refresh(spa, successor)).body['error']).toBe('invalid_grant');
  });

  it('RFC 9700-7: a token is for one audience and has no more than was asked for', async () => {
    const { access } = await tokensFor(web);
    const { aud, scope } = decodeJwt(access);
    expect([aud, scope]).toEqual([[accountsApi, `${server.issuer}/userinfo`], 'openid accounts']);
  });

  it('RFC 9700-8: clients can authenticate without a shared secret', () => {
    expect(metadata['token_endpoint_auth_methods_supported']).toEqual(
      expect.arrayContaining(['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']),
    );
  });

  it('RFC 9700-9: metadata is published, also where RFC 8414 looks for it', async () => {
    const url = `${server.issuer}/.well-known/oauth-authorization-server`;
    expect((await send(server.fetch(), url)).body).toEqual(metadata);
  });

  it('RFC 9700-10: a client cannot be taken for a customer', () => {
    const client = { client_id: server.customer.id, redirect_uris: ['https://a.test/'] };
    expect(() => parseClientMetadata(client)).toThrow('UUID');
  });

  it('RFC 9700-11: redirect URIs in http are not registered', () => {
    const client = { client_id: 'x', redirect_uris: ['http://a.test/'] };
    expect(() => parseClientMetadata(client)).toThrow('not https');
  });

  it('RFC 9700-12: no other origin may call the authorization endpoint', async () => {
    const headers = { origin: 'https://spa.example.com' };
    for (const method of ['GET', 'OPTIONS']) {
      const { headers: answered } = await send(server.fetch(), plainRequest(spa), {
        method,
        headers,
      });
      expect(answered.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('RFC 9700-13: what a customer typed is not sent on: redirects are 303', async () => {
    const agent = createCustomerAgent(server);
    const { username, password } = server.customer;
    const login = await agent.open(plainRequest(web));
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const end = await agent.submit(consent, { decision: 'allow' });
    expect([end.status, new URL(end.url).searchParams.has('code')]).toEqual([303, true]);
  });

  it('RFC 9700-14: a code that comes again ends the tokens that it gave', async () => {
    const code = await codeOf(web);
    const first = await exchange(web, code);
    const access = String(first.body['access_token']);
    expect((await introspect(server, access)).body['active']).toBe(true);
    expect((await exchange(web, code)).body['error']).toBe('invalid_grant');
    expect((await introspect(server, access)).body).toEqual({ active: false });
  });

  it('RFC 9700-15: pages tell no other server where they were', async () => {
    const page = await createCustomerAgent(server).open(plainRequest(web));
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('RFC 9700-16: every answer names the issuer (RFC 9207)', async () => {
    const callback = await createCustomerAgent(server).authorize(plainRequest(web));
    expect(callback.searchParams.get('iss')).toBe(server.issuer);
    const refused = await send(server.fetch(), plainRequest(web, { response_type: 'token' }));
    expect(refused.headers.get('location')).toContain(encodeURIComponent(server.issuer));
  });

  it('RFC 9700-17: a certificate in a header proves nothing', async () => {
    const pem = encodeURIComponent(server.tpp.certificatePem);
    const { status, body } = await post(server.fetch(), `${server.issuer}/token`, {
      form: { grant_type: 'client_credentials', client_id: 'tpp', scope: 'accounts' },
      headers: { 'x-ssl-client-cert': pem, 'x-forwarded-client-cert': `Cert="${pem}"` },
    });
    expect([status, body['error']]).toEqual([401, 'invalid_client']);
  });

  it('RFC 9700-18: pages cannot be framed', async () => {
    const page = await createCustomerAgent(server).open(plainRequest(web));
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  it('RFC 9700-19: a refresh token has an end, and a new password ends it', async () => {
    const [row] = await rows(
      server,
      `SELECT count(*)::int AS endless FROM artifacts
       WHERE kind = 'RefreshToken' AND expires_at IS NULL`,
    );
    expect(row?.['endless']).toBe(0);
    const { refresh: token } = await tokensFor(web);
    expect((await refresh(web, token)).status).toBe(200);
    const { app } = server.running;
    const { id, password } = server.customer;
    const customer = await app.customers.find(id);
    if (customer === undefined) throw new Error('no customer');
    await changePassword(customer, password, { ...app, clock: systemClock });
    expect((await refresh(web, token)).body['error']).toBe('invalid_grant');
  });

  it('RFC 9700-20: no page sends a message to another window', async () => {
    expect(metadata['response_modes_supported']).not.toContain('web_message');
    const page = await createCustomerAgent(server).open(plainRequest(web));
    expect([
      page.html.includes('postMessage'),
      page.headers.get('cross-origin-opener-policy'),
    ]).toEqual([false, 'same-origin']);
  });

  it('RFC 9700-21: nobody is sent on to a client without having logged in', async () => {
    for (const changes of [{}, { scope: 'openid nonsense' }, { prompt: 'consent' }]) {
      const page = await createCustomerAgent(server).open(plainRequest(web, changes));
      expect([page.status, page.html.includes('name="password"')]).toEqual([200, true]);
    }
  });
});
