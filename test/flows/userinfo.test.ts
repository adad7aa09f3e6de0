import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import {
  callbacks,
  discoverWeb,
  introspect,
  obtainTokens,
  openAuthorization,
  userinfo,
} from '../support/journey.ts';
import { discover, discoverTpp } from '../support/openid.ts';
import { accountsApi, opaqueApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const spaOrigin = 'https://spa.example.com';

function publicClient(id: string, redirectUri: string, more: object = {}) {
  return {
    metadata: {
      client_id: id,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      ...more,
    },
    permissions: { [accountsApi]: ['accounts'] },
  };
}

const pairwise = { subject_type: 'pairwise' };
const clients = [
  publicClient('spa', `${spaOrigin}/callback`),
  publicClient('sector-a', 'https://a.example.com/one', pairwise),
  publicClient('sector-a-too', 'https://a.example.com/two', pairwise),
  publicClient('sector-b', 'https://b.example.com/one', pairwise),
];

let server: AuthorizationServer;
let tpp: openid.Configuration;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer({ clients });
  tpp = await discoverTpp(server);
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

async function tokensOfWeb(scope: string, resource?: string) {
  const parameters = { redirect_uri: callbacks.web, scope };
  return obtainTokens(server, web, {
    parameters: resource === undefined ? parameters : { ...parameters, resource },
  });
}

async function tokensOfPublic(id: string, redirectUri: string) {
  const configuration = await discover(server, { id, authentication: openid.None() });
  return obtainTokens(server, configuration, {
    parameters: { redirect_uri: redirectUri, scope: 'openid accounts' },
  });
}

const everything = {
  name: 'Casey Miller',
  given_name: 'Casey',
  email: 'casey@example.com',
  email_verified: true,
};
const pick = (...names: (keyof typeof everything)[]) =>
  Object.fromEntries(names.map((name) => [name, everything[name]]));

describe('Userinfo', () => {
  it.each([
    ['openid', {}],
    ['openid profile', pick('name', 'given_name')],
    ['openid email', pick('email', 'email_verified')],
    ['openid profile email phone address', everything],
  ])('opens with "%s" what that scope is for', async (scope, claims) => {
    const expected = { ...claims, sub: server.customer.id };
    const opaque = await tokensOfWeb(scope);
    expect(opaque.access_token).toMatch(/^[\w-]{43}$/);
    const jwt = await tokensOfWeb(`${scope} accounts`, accountsApi);
    expect(jwt.access_token).toMatch(/^eyJ/);
    for (const { access_token } of [opaque, jwt]) {
      const { status, body } = await userinfo(server, access_token);
      const { preferred_username: _, ...rest } = body;
      expect({ status, body: rest }).toEqual({ status: 200, body: expected });
    }
  });

  it('is never kept by a cache', async () => {
    const { access_token } = await tokensOfWeb('openid');
    const { headers } = await userinfo(server, access_token);
    expect(headers.get('cache-control')).toContain('no-store');
  });

  it('does not open with a token that is for a resource server only', async () => {
    const { access_token } = await tokensOfWeb('accounts', accountsApi);
    const { status, headers } = await userinfo(server, access_token);
    expect([401, 403]).toContain(status);
    expect(headers.get('www-authenticate')).toMatch(/insufficient_scope|invalid_token/);
    const opaque = await tokensOfWeb('statements', opaqueApi);
    expect((await userinfo(server, opaque.access_token)).status).toBeGreaterThanOrEqual(401);
  });

  it('opens with an opaque token for a resource server, when openid was granted too', async () => {
    const tokens = await tokensOfWeb('openid profile statements', opaqueApi);
    expect(tokens.scope).toBe('openid profile statements');
    const response = await userinfo(server, tokens.access_token);
    expect(response.status).toBe(200);
  });

  it('is named in the scope of the token response', async () => {
    const { scope } = await tokensOfWeb('openid profile accounts', accountsApi);
    expect(scope).toBe('openid profile accounts');
  });

  it('does not open with a token of the client credentials grant', async () => {
    for (const parameters of [
      { scope: 'accounts', resource: accountsApi },
      { scope: 'statements', resource: opaqueApi },
    ]) {
      const { access_token } = await openid.clientCredentialsGrant(web, parameters);
      const { status } = await userinfo(server, access_token);
      expect([401, 403]).toContain(status);
    }
  });

  it.each(['', 'nonsense', 'eyJhbGciOiJub25lIn0.e30.', 'eyJhbGciOiJub25lIn0.e30.x', '\u00ff'])(
    'does not open with the made-up token %j',
    async (token) => {
      const { status, headers } = await userinfo(server, token);
      expect([400, 401]).toContain(status);
      expect(headers.get('www-authenticate')).toMatch(/^Bearer /);
    },
  );

  it('does not open with an ID token, a changed token, or a token in the query', async () => {
    const { access_token, id_token = '' } = await tokensOfWeb('openid accounts', accountsApi);
    expect((await userinfo(server, id_token)).status).toBe(401);
    const [header, payload = '', signature] = access_token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'other' })).toString('base64url');
    expect((await userinfo(server, [header, forged, signature].join('.'))).status).toBe(401);
    const inQuery = await server.fetch()(`${server.issuer}/userinfo?access_token=${access_token}`);
    expect(inQuery.status).toBe(400);
  });

  it('does not open after the token was revoked, nor after the grant was', async () => {
    const first = await tokensOfWeb('openid accounts', accountsApi);
    await openid.tokenRevocation(web, first.access_token);
    expect((await userinfo(server, first.access_token)).status).toBe(401);
    const second = await tokensOfWeb('openid accounts', accountsApi);
    expect((await userinfo(server, second.access_token)).status).toBe(200);
    await openid.tokenRevocation(web, second.refresh_token ?? '');
    expect((await userinfo(server, second.access_token)).status).toBe(401);
  });

  it('does not open for a customer who was suspended', async () => {
    const { access_token } = await tokensOfWeb('openid accounts', accountsApi);
    const { customers } = server.running.app;
    await customers.setStatus(server.customer.id, 'suspended');
    try {
      const { status, body } = await userinfo(server, access_token);
      expect({ status, error: body['error'] }).toEqual({ status: 401, error: 'invalid_token' });
    } finally {
      await customers.setStatus(server.customer.id, 'active');
    }
  });

  it('opens a bound token with its certificate only', async () => {
    const { access_token } = await obtainTokens(server, tpp, {
      parameters: {
        redirect_uri: callbacks.tpp,
        scope: 'openid accounts',
        resource: accountsApi,
      },
    });
    const right = await userinfo(server, access_token, { certificate: server.tpp });
    expect(right).toMatchObject({ status: 200, body: { sub: server.customer.id } });
    const renewed = await clientCertificate(server.certificates.authority, {
      subject: tppSubject,
    });
    for (const options of [{}, { certificate: renewed }]) {
      const { status, headers } = await userinfo(server, access_token, options);
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toContain('invalid_token');
    }
  });
});

describe('A pairwise client', () => {
  it('knows the customer by a name of its sector, the same everywhere', async () => {
    const a = await tokensOfPublic('sector-a', 'https://a.example.com/one');
    const sub = decodeJwt(a.access_token).sub;
    expect(sub).not.toBe(server.customer.id);
    expect(decodeJwt(a.id_token ?? '').sub).toBe(sub);
    expect((await userinfo(server, a.access_token)).body['sub']).toBe(sub);
    expect(await introspect(server, a.access_token)).toMatchObject({ active: true, sub });

    const again = await tokensOfPublic('sector-a', 'https://a.example.com/one');
    expect(decodeJwt(again.access_token).sub).toBe(sub);
    const sibling = await tokensOfPublic('sector-a-too', 'https://a.example.com/two');
    expect(decodeJwt(sibling.access_token).sub).toBe(sub);
    const stranger = await tokensOfPublic('sector-b', 'https://b.example.com/one');
    expect(decodeJwt(stranger.access_token).sub).not.toBe(sub);
    expect(decodeJwt(stranger.access_token).sub).not.toBe(server.customer.id);
    for (const { access_token, id_token } of [a, stranger]) {
      const told = JSON.stringify([decodeJwt(access_token), decodeJwt(id_token ?? '')]);
      expect(told).not.toContain(server.customer.id);
    }
  });
});

describe('A script of another origin', () => {
  async function allowed(token: string, origin: string) {
    const { status, headers } = await userinfo(server, token, { headers: { origin } });
    return { status, origin: headers.get('access-control-allow-origin') };
  }

  it("reads what is its own client's only", async () => {
    const { access_token } = await tokensOfPublic('spa', `${spaOrigin}/callback`);
    expect(await allowed(access_token, spaOrigin)).toEqual({ status: 200, origin: spaOrigin });
    expect(await allowed(access_token, 'https://evil.example')).toEqual({
      status: 400,
      origin: null,
    });
    expect(await allowed(access_token, 'null')).toEqual({ status: 400, origin: null });
  });

  it('never gets tokens of a client that has a secret', async () => {
    const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'accounts' });
    const basic = Buffer.from(`web:${server.secrets.web}`).toString('base64');
    const response = await server.fetch()(`${server.issuer}/token`, {
      method: 'POST',
      body,
      headers: { authorization: `Basic ${basic}`, origin: 'https://web.example.com' },
    });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    expect(response.status).toBe(400);
  });

  it('gets nothing at the authorization endpoint', async () => {
    const response = await server.fetch()(`${server.issuer}/authorize?client_id=spa`, {
      headers: { origin: spaOrigin },
    });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await server.fetch()(`${server.issuer}/authorize`, {
      method: 'OPTIONS',
      headers: { origin: spaOrigin, 'access-control-request-method': 'GET' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect((await openAuthorization(server, { client_id: 'spa' })).status).toBe(400);
  });
});
