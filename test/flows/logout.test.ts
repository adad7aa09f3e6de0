import { createServer } from 'node:https';
import { createLocalJWKSet, jwtVerify, decodeJwt } from 'jose';
import type { JSONWebKeySet } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestCertificates } from '../support/certificates.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb, introspect, obtainTokens } from '../support/journey.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';
import { createTestServers } from '../support/tls-servers.ts';

const loggedOut = 'https://web.example.com/logged-out';

/** What a client's back-channel listener got: path and form. */
interface Notice {
  path: string;
  form: URLSearchParams;
}

const listeners = createTestServers();
const notices: Notice[] = [];
let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  const certificates = await createTestCertificates();
  const listen = () =>
    listeners.listen(
      createServer(
        { cert: certificates.server.certificatePem, key: certificates.server.privateKeyPem },
        (request, response) => {
          let body = '';
          request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
          request.on('end', () => {
            notices.push({ path: request.url ?? '', form: new URLSearchParams(body) });
            response.writeHead(request.url === '/failing' ? 500 : 200).end();
          });
        },
      ),
    );
  const [listed, unlisted] = [await listen(), await listen()];
  server = await startAuthorizationServer({
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(listed)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: certificates.authority.certificatePem,
    },
    clients: [
      notified('told', `https://localhost:${String(listed)}/told`),
      notified('told-too', `https://localhost:${String(listed)}/told-too`),
      notified('failing', `https://localhost:${String(listed)}/failing`),
      notified('unlisted', `https://localhost:${String(unlisted)}/unlisted`),
    ],
  });
  web = await discoverWeb(server);
});

afterAll(async () => {
  await server.stop();
  await listeners.close();
});

function notified(id: string, backchannelLogoutUri: string) {
  return {
    metadata: {
      client_id: id,
      client_name: `Client ${id}`,
      redirect_uris: [`https://${id}.example.com/callback`],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
      backchannel_logout_uri: backchannelLogoutUri,
      backchannel_logout_session_required: true,
    },
    permissions: { [accountsApi]: ['accounts'] },
  };
}

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };

async function signIn(agent: CustomerAgent) {
  return obtainTokens(server, web, { parameters: forWeb, agent });
}

async function signInAt(id: string, agent: CustomerAgent) {
  const configuration = await discover(server, { id, authentication: openid.None() });
  return obtainTokens(server, configuration, {
    parameters: { redirect_uri: `https://${id}.example.com/callback`, scope: 'openid accounts' },
    agent,
  });
}

function openLogout(agent: CustomerAgent, parameters: Record<string, string>) {
  return agent.open(`${server.issuer}/logout?${new URLSearchParams(parameters).toString()}`);
}

async function isSignedIn(agent: CustomerAgent): Promise<boolean> {
  const { url } = await authorizationRequest(web, { ...forWeb, prompt: 'none' });
  const error = new URL((await agent.open(url)).url).searchParams.get('error');
  return error !== 'login_required';
}

async function leave(agent: CustomerAgent) {
  return agent.submit(await openLogout(agent, {}), { logout: 'yes' });
}

describe('A customer', () => {
  it('is asked before being signed out, and comes back to the client with its state', async () => {
    const agent = createCustomerAgent(server);
    const { id_token = '' } = await signIn(agent);
    const url = openid.buildEndSessionUrl(web, {
      id_token_hint: id_token,
      post_logout_redirect_uri: loggedOut,
      state: 'a b&c=d',
    });
    const page = await agent.open(url.href);
    expect(page.status).toBe(200);
    expect(page.headers.get('cache-control')).toContain('no-store');
    expect(page.html).toContain('Example Web');
    expect(await isSignedIn(agent)).toBe(true);

    const back = await agent.submit(await agent.open(url.href), { logout: 'yes' });
    expect(back.status).toBe(303);
    const { origin, pathname, searchParams } = new URL(back.url);
    expect(origin + pathname).toBe(loggedOut);
    expect([...searchParams]).toEqual([['state', 'a b&c=d']]);
    expect(await isSignedIn(agent)).toBe(false);
  });

  it('is asked alike when the client sends its request by POST', async () => {
    const agent = createCustomerAgent(server);
    const { id_token = '' } = await signIn(agent);
    const body = new URLSearchParams({
      id_token_hint: id_token,
      post_logout_redirect_uri: loggedOut,
    });
    const page = await agent.open(`${server.issuer}/logout`, { method: 'POST', body });
    expect(page.html).toContain('Example Web');
    const back = await agent.submit(page, { logout: 'yes' });
    expect(back.url).toBe(loggedOut);
  });

  it('may stay signed in', async () => {
    const agent = createCustomerAgent(server);
    await signIn(agent);
    const stayed = await agent.submit(await openLogout(agent, {}), {});
    expect(stayed.status).toBe(200);
    expect(await isSignedIn(agent)).toBe(true);
  });

  it('can sign out without any client, and sees that it worked', async () => {
    const agent = createCustomerAgent(server);
    await signIn(agent);
    const page = await leave(agent);
    expect(page).toMatchObject({ status: 200, url: `${server.issuer}/logout/success` });
    expect(await isSignedIn(agent)).toBe(false);
  });

  it('keeps what was allowed: a refresh token outlives the session', async () => {
    const agent = createCustomerAgent(server);
    const { refresh_token = '', access_token } = await signIn(agent);
    await leave(agent);
    expect(await introspect(server, access_token)).toMatchObject({ active: true });
    await expect(openid.refreshTokenGrant(web, refresh_token)).resolves.toHaveProperty(
      'access_token',
    );
  });

  it("can't be signed out by a form of another site", async () => {
    const agent = createCustomerAgent(server);
    await signIn(agent);
    await openLogout(agent, {});
    for (const fields of [{ logout: 'yes' }, { logout: 'yes', xsrf: 'guessed' }]) {
      const confirm = `${server.issuer}/logout/confirm`;
      const page = await agent.open(confirm, { method: 'POST', body: new URLSearchParams(fields) });
      expect(page.status).toBe(400);
    }
    expect(await isSignedIn(agent)).toBe(true);
  });

  it('is not signed out by an image or link: a GET changes nothing', async () => {
    const agent = createCustomerAgent(server);
    const { id_token = '' } = await signIn(agent);
    await openLogout(agent, { id_token_hint: id_token });
    expect((await agent.open(`${server.issuer}/logout/confirm`)).status).toBe(405);
    expect(await isSignedIn(agent)).toBe(true);
  });
});

describe('After a logout nobody is sent', () => {
  it.each([
    `${loggedOut}/`,
    `${loggedOut}?x=1`,
    `${loggedOut}#x`,
    'https://WEB.example.com/logged-out',
    'https://web.example.com:443/logged-out',
    'https://web.example.com/callback',
    'https://web.example.com@evil.example/logged-out',
    'https://evil.example/',
    '//evil.example/',
    'javascript:alert(1)',
    'https://tpp.example.com/logged-out',
  ])('to %s, which the client did not register', async (uri) => {
    const agent = createCustomerAgent(server);
    const { id_token = '' } = await signIn(agent);
    const page = await openLogout(agent, {
      id_token_hint: id_token,
      post_logout_redirect_uri: uri,
    });
    expect(page.status).toBe(400);
    expect(new URL(page.url).origin).toBe(server.issuer);
    expect(page.html).not.toContain('<form');
    expect(page.html).not.toContain('evil.example');
  });

  it.each([loggedOut, 'https://evil.example/'])(
    'to %s when nothing says for which client it is',
    async (uri) => {
      const agent = createCustomerAgent(server);
      await signIn(agent);
      const page = await openLogout(agent, { post_logout_redirect_uri: uri });
      const done = await agent.submit(page, { logout: 'yes' });
      expect(new URL(done.url).origin).toBe(server.issuer);
    },
  );

  it('by a hint that is not ours', async () => {
    const agent = createCustomerAgent(server);
    const { id_token = '', access_token } = await signIn(agent);
    const [header, payload = ''] = id_token.split('.');
    const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const id_token_hint of [
      `${header ?? ''}.${payload}.AAAA`,
      `${unsigned}.${payload}.`,
      'x',
      access_token,
    ]) {
      const page = await openLogout(agent, { id_token_hint, post_logout_redirect_uri: loggedOut });
      expect(page.status).toBe(400);
      expect(page.html).not.toContain('<form');
    }
  });
});

describe('A client that wants to know', () => {
  async function verify(token: string, audience: string) {
    const response = await server.fetch()(`${server.issuer}/jwks`);
    const keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
    return jwtVerify(token, keys, { issuer: server.issuer, audience, typ: 'logout+jwt' });
  }
  const noticeTo = (path: string) => notices.filter((notice) => notice.path === path);

  it('is told by a logout token, and so is every other client of the session', async () => {
    const agent = createCustomerAgent(server);
    const first = await signInAt('told', agent);
    const second = await signInAt('told-too', agent);
    notices.length = 0;
    await leave(agent);
    for (const [id, tokens] of [
      ['told', first],
      ['told-too', second],
    ] as const) {
      const [notice, ...more] = noticeTo(`/${id}`);
      expect(more).toEqual([]);
      expect([...(notice?.form.keys() ?? [])]).toEqual(['logout_token']);
      const { payload } = await verify(notice?.form.get('logout_token') ?? '', id);
      const { sid } = decodeJwt(tokens.id_token ?? '');
      expect(sid).toEqual(expect.any(String));
      expect(payload).toEqual({
        iss: server.issuer,
        aud: id,
        sub: server.customer.id,
        sid,
        iat: expect.any(Number) as number,
        exp: expect.any(Number) as number,
        jti: expect.any(String) as string,
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      });
      expect(Number(payload.exp) - Number(payload.iat)).toBeLessThanOrEqual(120);
      expect(payload).not.toHaveProperty('nonce');
    }
  });

  it('does not hold up the others, nor the customer, when it fails', async () => {
    const agent = createCustomerAgent(server);
    await signInAt('failing', agent);
    await signInAt('told', agent);
    notices.length = 0;
    const page = await leave(agent);
    expect(page.status).toBe(200);
    expect(noticeTo('/told')).toHaveLength(1);
    expect(noticeTo('/failing')).toHaveLength(1);
    await expectFailure('failing', /got: 500/);
  });

  it('is not told at a private address that nobody has listed', async () => {
    const agent = createCustomerAgent(server);
    await signInAt('unlisted', agent);
    notices.length = 0;
    expect((await leave(agent)).status).toBe(200);
    expect(notices).toEqual([]);
    await expectFailure('unlisted', /not public/);
  });

  async function expectFailure(clientId: string, reason: RegExp): Promise<void> {
    await vi.waitFor(async () => {
      const rows = await stored<{ reason: string }>(
        server,
        `SELECT detail->>'reason' AS reason FROM audit_events
         WHERE type = 'backchannel_logout.failed' AND client_id = '${clientId}'`,
      );
      expect(rows.map((row) => row.reason)).toContainEqual(expect.stringMatching(reason));
    });
  }
});

describe('A browser without a session', () => {
  it('is signed out already', async () => {
    const agent = createCustomerAgent(server);
    const page = await openLogout(agent, {});
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).not.toContain('unsafe-inline');
    const done = await agent.submit(page, {});
    expect(done).toMatchObject({ status: 200, url: `${server.issuer}/logout/success` });
  });
});
