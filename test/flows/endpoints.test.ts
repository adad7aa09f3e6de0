import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { basic, post, send } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

const onBothDoors = async (path: string) => [
  await send(server.fetch(), server.issuer + path),
  await send(server.fetch(server.tpp), server.mtlsOrigin + path),
];

describe('The listener for certificates', () => {
  it.each([
    '/authorize',
    '/logout',
    '/logout/confirm',
    '/logout/success',
    '/interaction/x',
    '/assets/main.css',
  ])('does not offer %s', async (path) => {
    const fetchWithCertificate = server.fetch(server.tpp);
    expect((await send(fetchWithCertificate, server.mtlsOrigin + path)).status).toBe(404);
    const form = { client_id: 'tpp' };
    expect((await post(fetchWithCertificate, server.mtlsOrigin + path, { form })).status).toBe(404);
  });
});

describe('A path that is almost an endpoint', () => {
  it.each([
    '/TOKEN',
    '/token/',
    '/Jwks',
    '/jwks/',
    '/.well-known/OpenID-configuration',
    '/introspect//',
    '/%74oken',
  ])('is not one: %s', async (path) => {
    for (const { status } of await onBothDoors(path)) expect(status).toBe(404);
    const form = { grant_type: 'client_credentials' };
    const headers = basic('web', server.secrets.web);
    const posted = await post(server.fetch(), server.issuer + path, { form, headers });
    expect(posted.status).toBe(404);
  });
});

describe('An error at an endpoint for programs', () => {
  it.each(['/token', '/introspect', '/revoke', '/userinfo'])(
    'is JSON at %s, also for who would rather have a page',
    async (path) => {
      const { status, headers } = await send(server.fetch(), server.issuer + path, {
        method: 'PUT',
        headers: { accept: 'text/html' },
      });
      expect([status, headers.get('content-type')]).toEqual([
        405,
        'application/json; charset=utf-8',
      ]);
    },
  );
});

describe('Another method', () => {
  it.each([
    ['DELETE', '/token', 'POST'],
    ['GET', '/token', 'POST'],
    ['GET', '/introspect', 'POST'],
    ['PUT', '/revoke', 'POST'],
    ['POST', '/jwks', 'GET'],
    ['PATCH', '/userinfo', 'GET, POST'],
    ['PUT', '/authorize', 'GET, POST'],
    ['DELETE', '/.well-known/openid-configuration', 'GET'],
  ])('%s %s is answered with 405 and what is allowed', async (method, path, allowed) => {
    const { status, headers } = await send(server.fetch(), server.issuer + path, { method });
    expect([status, headers.get('allow')]).toEqual([405, allowed]);
  });
});
