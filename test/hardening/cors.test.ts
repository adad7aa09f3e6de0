import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { basic, post, send } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

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

describe('A script', () => {
  it('of a browser client’s own origin may read what the token endpoint says', async () => {
    const answer = await tokenFrom(origin, 'spa');
    expect(allowed(answer)).toBe(origin);
    const readable = answer.headers.get('access-control-expose-headers')?.split(/, ?/);
    const limits = ['RateLimit', 'RateLimit-Policy', 'Retry-After'];
    expect(readable).toEqual(expect.arrayContaining(['DPoP-Nonce', ...limits]));
    expect(answer.headers.get('ratelimit')).not.toBeNull();
  });

  it.each([
    'null',
    'https://evil.example',
    `${origin}.evil.example`,
    'https://evil.spa.example.com',
    `${origin}:8443`,
    'http://spa.example.com',
    'https://SPA.example.com',
    `${origin}/`,
    `${origin}, https://evil.example`,
    '*',
  ])('of the origin %s may not', async (from) => {
    const answer = await tokenFrom(from, 'spa');
    expect(answer.status).toBe(400);
    expect(allowed(answer)).toBeNull();
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
