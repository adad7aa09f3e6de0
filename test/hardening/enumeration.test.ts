import type * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb, obtainTokens } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { basic, post, send } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

beforeEach(async () => {
  await stored(server, 'DELETE FROM login_throttles');
  await stored(server, 'DELETE FROM login_patterns');
});

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };

/** An answer without what differs each time: identifiers, dates, form tokens. */
function comparable({ status, headers, text }: { status: number; headers: Headers; text: string }) {
  const volatile = ['date', 'x-request-id', 'set-cookie', 'content-length'];
  const kept = [...headers]
    .filter(([name]) => !volatile.includes(name))
    .map(([name, value]) => [name, name === 'ratelimit' ? value.replace(/;[rt]=\d+/g, '') : value]);
  const body = text
    .replace(/[\da-f]{8}-[\da-f-]{27}/g, 'ID')
    .replace(/name="(?:csrf|xsrf)" value="[^"]*"/g, 'TOKEN')
    .replace(/\/interaction\/[\w-]+/g, '/interaction/UID')
    .replace(/name="username" type="text" value="[^"]*"/, 'USERNAME');
  return { status, headers: kept, body };
}

async function failedLogin(username: string, password: string) {
  const agent = createCustomerAgent(server);
  const { url } = await authorizationRequest(web, forWeb);
  const page = await agent.submit(await agent.open(url), { username, password, action: 'login' });
  return comparable({ ...page, text: page.html });
}

describe('A failed login tells nothing', () => {
  it('about who is a customer, who is suspended, and how their password is', async () => {
    const { customers, passwords } = server.running.app;
    const suspended = await addCustomer(
      { profile: { username: 'robin' }, password: 'a rather long password' },
      { customers, passwords, clock: systemClock },
    );
    await customers.setStatus(suspended.id, 'suspended');
    const wrong = await failedLogin('casey', 'not the password');
    expect(wrong.status).toBe(422);
    for (const [username, password] of [
      ['nobody', 'not the password'],
      ['robin', 'a rather long password'],
      ['robin', 'not the password'],
      ['CASEY', 'not the password'],
      ['casey', 'x'],
      ['nobody', 'x'.repeat(2000)],
      ['casey', 'x'.repeat(2000)],
      ['x'.repeat(2000), 'x'],
      ["' OR 1=1 --", 'x'],
      ['casey@example.com', 'x'],
    ] as const) {
      expect(await failedLogin(username, password), `for ${username}`).toEqual(wrong);
    }
  });

  it('when it is throttled', async () => {
    const statuses = async (username: string) => {
      const seen: number[] = [];
      for (let i = 0; i < 7; i += 1) seen.push((await failedLogin(username, 'wrong')).status);
      return seen;
    };
    const known = await statuses('casey');
    expect(new Set(known)).toEqual(new Set([422, 429]));
    expect(await statuses('nobody')).toEqual(known);
  });
});

describe('Who is a client is not told', () => {
  it('to those who can’t prove to be one', async () => {
    const form = { grant_type: 'client_credentials' };
    const ask = async (id: string, secret = 'wrong') =>
      comparable(
        await post(server.fetch(), `${server.issuer}/token`, { form, headers: basic(id, secret) }),
      );
    const wrong = await ask('web');
    expect(wrong.status).toBe(401);
    for (const id of ['nobody', 'tpp', 'app', 'accounts-rs', '__proto__', 'x'.repeat(200)]) {
      expect(await ask(id), `for ${id}`).toEqual(wrong);
    }
    const inBody = async (id: string) =>
      comparable(
        await post(server.fetch(), `${server.issuer}/introspect`, {
          form: { token: 'x', client_id: id, client_secret: 'wrong' },
        }),
      );
    const known = await inBody('accounts-rs');
    expect(await inBody('nobody')).toEqual(known);
    expect(await inBody('tpp')).toEqual(known);
  });

  it('over mTLS without the right certificate', async () => {
    const ask = async (client_id: string, certificate = server.certificates.server) =>
      comparable(
        await post(server.fetch(certificate), `${server.mtlsOrigin}/token`, {
          form: { grant_type: 'client_credentials', client_id },
        }),
      );
    expect(await ask('nobody')).toEqual(await ask('tpp'));
  });
});

describe('What a token was is not told', () => {
  it('at introspection: unknown, foreign, refresh or ID token, another audience', async () => {
    const tokens = await obtainTokens(server, web, {
      parameters: { ...forWeb, resource: accountsApi },
    });
    const ask = async (token: string, more = {}) => {
      const headers = basic('opaque-rs', server.secrets['opaque-rs']);
      const form = { token, ...more };
      return comparable(
        await post(server.fetch(), `${server.issuer}/introspect`, { form, headers }),
      );
    };
    const unknown = await ask('unknown');
    expect(unknown.body).toBe('{"active":false}');
    const { access_token, refresh_token = '', id_token = '' } = tokens;
    for (const token of [access_token, refresh_token, id_token, 'eyJ.e30.x', 'x'.repeat(5000)]) {
      expect(await ask(token)).toEqual(unknown);
      expect(await ask(token, { token_type_hint: 'refresh_token' })).toEqual(unknown);
    }
  });

  it('at revocation: unknown or another client’s', async () => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const revoke = async (token: string) =>
      comparable(
        await post(server.fetch(), `${server.issuer}/revoke`, {
          form: { token, client_id: 'app' },
        }),
      );
    const unknown = await revoke('unknown');
    for (const token of [tokens.access_token, tokens.refresh_token ?? '', tokens.id_token ?? '']) {
      expect(await revoke(token)).toEqual(unknown);
    }
  });

  it('at the token endpoint: unknown or another client’s code and refresh token', async () => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const use = async (form: Record<string, string>) =>
      comparable(
        await post(server.fetch(), `${server.issuer}/token`, {
          form: { client_id: 'app', ...form },
        }),
      );
    const refresh = (refresh_token: string) => use({ grant_type: 'refresh_token', refresh_token });
    expect(await refresh(tokens.refresh_token ?? '')).toEqual(await refresh('unknown'));
    const code = (value: string) =>
      use({
        grant_type: 'authorization_code',
        code: value,
        redirect_uri: callbacks.app,
        code_verifier: 'x'.repeat(43),
      });
    const agent = createCustomerAgent(server);
    const callback = await agent.authorize((await authorizationRequest(web, forWeb)).url);
    expect(await code(callback.searchParams.get('code') ?? '')).toEqual(await code('unknown'));
  });

  it('at userinfo: unknown, forged or revoked', async () => {
    const ask = async (token: string) =>
      comparable(
        await send(server.fetch(), `${server.issuer}/userinfo`, {
          headers: { authorization: `Bearer ${token}` },
        }),
      );
    const { access_token: token } = await obtainTokens(server, web, { parameters: forWeb });
    expect((await ask(token)).status).toBe(200);
    const headers = basic('web', server.secrets.web);
    await post(server.fetch(), `${server.issuer}/revoke`, { form: { token }, headers });
    const unknown = await ask('unknown');
    expect(unknown.status).toBe(401);
    expect(await ask(token)).toEqual(unknown);
    expect(await ask(`${token.slice(0, -8)}AAAAAAAA`)).toEqual(unknown);
  });
});
