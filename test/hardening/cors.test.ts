import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { basic, post, send } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { withinASecond } from '../support/within-a-second.ts';

const origin = 'https://spa.example.com';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [
      {
        metadata: {
          client_id: 'spa',
          redirect_uris: [`${origin}/callback`],
          token_endpoint_auth_method: 'none',
        },
      },
    ],
  });
});

afterAll(() => server.stop());

const allowed = ({ headers }: { headers: Headers }) => headers.get('access-control-allow-origin');

/** What a script at `from` would be told by the token endpoint. */
async function tokenFrom(from: string, client: 'spa' | 'web') {
  const form = { grant_type: 'authorization_code', code: 'x', redirect_uri: `${origin}/callback` };
  const own = client === 'web' ? basic('web', server.secrets.web) : {};
  const parameters = client === 'web' ? form : { ...form, client_id: 'spa', code_verifier: 'x' };
  const headers = { ...own, origin: from };
  return post(server.fetch(), `${server.issuer}/token`, { form: parameters, headers });
}

const strangers = [
  'null',
  'https://evil.example',
  `${origin}.evil.example`,
  'https://evil.spa.example.com',
  `${origin}:8443`,
  `${origin}:443`,
  'http://spa.example.com',
  'https://SPA.example.com',
  `${origin}/`,
  `${origin}/callback`,
  `${origin}, https://evil.example`,
  'spa.example.com',
  'com.example.app://',
  '*',
];

const programEndpoints = ['/token', '/par', '/introspect', '/revoke', '/userinfo'];

/** What a browser asks before a script at `from` may call. */
function preflight(from: string, path: string, at = server) {
  const headers = {
    ...{ origin: from, 'access-control-request-method': 'POST' },
    'access-control-request-headers': 'dpop',
  };
  return send(at.fetch(), server.issuer + path, { method: 'OPTIONS', headers });
}

const told = ({ headers }: { headers: Headers }) =>
  [...headers.keys()].filter((name) => name.startsWith('access-control-'));

describe('A script', () => {
  it('of a browser client’s own origin may read what the token endpoint says', async () => {
    const answer = await tokenFrom(origin, 'spa');
    expect(allowed(answer)).toBe(origin);
    const readable = answer.headers.get('access-control-expose-headers')?.split(/, ?/);
    const limits = ['RateLimit', 'RateLimit-Policy', 'Retry-After'];
    expect(readable).toEqual(expect.arrayContaining(['DPoP-Nonce', ...limits]));
    expect(answer.headers.get('ratelimit')).not.toBeNull();
  });

  it.each(strangers)('of the origin %s may not', async (from) => {
    const answer = await tokenFrom(from, 'spa');
    expect(answer.status).toBe(400);
    expect(told(answer)).toEqual([]);
  });

  it.each(strangers)('of the origin %s is told nothing beforehand', async (from) => {
    for (const path of programEndpoints) {
      const answer = await preflight(from, path);
      expect(answer.status).toBe(204);
      expect(told(answer)).toEqual([]);
      expect(answer.headers.get('vary')).toContain('Origin');
    }
  });

  it('of a client’s own origin is told beforehand where it may call', async () => {
    for (const path of programEndpoints) {
      const answer = await preflight(origin, path);
      expect([answer.status, allowed(answer)]).toEqual([204, origin]);
      expect(answer.headers.get('access-control-allow-headers')).toBe('dpop');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
    // A client with a secret is no page; what it shows a customer may ask for their claims.
    const web = 'https://web.example.com';
    expect(allowed(await preflight(web, '/userinfo'))).toBe(web);
    expect(allowed(await preflight(web, '/token'))).toBeNull();
  });

  it('in a sandbox is nobody, though the address of an app has the origin null as well', async () => {
    const form = { grant_type: 'authorization_code', code: 'x', client_id: 'app' };
    const headers = { origin: 'null' };
    const answer = await post(server.fetch(), `${server.issuer}/token`, { form, headers });
    expect(answer.body['error_description']).toContain('origin null not allowed');
    expect(told(answer)).toEqual([]);
  });

  it('of no client reads no error either, whomever it names', async () => {
    const form = { grant_type: 'authorization_code', code: 'x', client_id: 'nobody' };
    const headers = { origin: 'https://evil.example' };
    for (const path of programEndpoints) {
      const answer = await post(server.fetch(), server.issuer + path, { form, headers });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(told(answer)).toEqual([]);
    }
  });

  it('may not use a client with a secret from anywhere', async () => {
    for (const from of ['https://web.example.com', origin]) {
      expect(allowed(await tokenFrom(from, 'web'))).toBeNull();
    }
  });

  it.each([
    '/authorize?client_id=spa',
    '/logout',
    '/interaction/x',
    '/register',
    '/consents/v1/x',
    '/unknown',
  ])('reads nothing at %s', async (path) => {
    for (const method of ['GET', 'OPTIONS']) {
      const headers = { origin, 'access-control-request-method': 'GET' };
      const answer = await send(server.fetch(), server.issuer + path, { method, headers });
      expect(allowed(answer)).toBeNull();
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  it('of anywhere may read keys and metadata, and never with cookies', async () => {
    for (const path of ['/jwks', '/.well-known/openid-configuration']) {
      const answer = await send(server.fetch(), server.issuer + path, { headers: { origin } });
      expect(allowed(answer)).toBe('*');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });
});

describe('On another process', () => {
  let other: AuthorizationServer;

  beforeAll(async () => {
    other = await startAuthorizationServer({ beside: server });
  });

  afterAll(() => other.stop());

  it('the origin of a client is known within a second, and no more when it is suspended', async () => {
    const { clients } = server.running.app;
    const own = 'https://new-spa.example.com';
    const known = async () => allowed(await preflight(own, '/token', other));
    expect(await known()).toBeNull();
    await clients.insert({
      metadata: {
        ...{ client_id: 'new-spa', redirect_uris: [`${own}/callback`] },
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
      ...{ permissions: {}, source: 'operator' },
    });
    await withinASecond(async () => {
      expect(await known()).toBe(own);
    });
    await clients.setStatus('new-spa', 'suspended');
    await withinASecond(async () => {
      expect(await known()).toBeNull();
    });
  });
});
