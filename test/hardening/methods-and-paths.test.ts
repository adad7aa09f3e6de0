import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isCleanRefusal, issuedBy, rawForm, rawRequest, sendRaw } from '../support/attack.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

const body = 'grant_type=client_credentials&scope=accounts';

/** `/token` as somebody might write it to get past a rule that knows it by its name. */
const disguises = [
  '/TOKEN',
  '/Token',
  '/token/',
  '/token//',
  '//token',
  '/./token',
  '/x/../token',
  '/token/.',
  '/token/..',
  '/%74oken',
  '/token%20',
  '/token%00',
  '/token%2f',
  '/%2ftoken',
  '/%2e/token',
  '/x/%2e%2e/token',
  '/x/..%2ftoken',
  '/token;x=1',
  '/token;',
  '/token.json',
  '/token%0a',
  '/token%23',
  '/token%3f',
  '/token\\',
  '/\\token',
  '/to%E2%80%8Bken',
  '/\xef\xbd\x94oken',
  '/token#x',
  '/..;/token',
  '/interaction/../token',
  '/assets/..%2ftoken',
  '/assets/%2e%2e/token',
];

describe('A path in disguise', () => {
  it.each(disguises)('is not the token endpoint: %s', async (path) => {
    const attack = async () => {
      for (const listener of ['public', 'mtls'] as const) {
        const host = new URL(listener === 'public' ? server.issuer : server.mtlsOrigin).host;
        const headers = { ...basic('web', server.secrets.web), Host: host };
        const bytes = rawForm(server, path, { body, headers });
        const { answers } = await sendRaw(server, bytes, { listener });
        const [answer] = answers;
        expect(answer && isCleanRefusal(answer), `${listener} ${JSON.stringify(answer)}`).toBe(
          true,
        );
        expect([400, 404]).toContain(answer?.status);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it.each([
    '/assets/../package.json',
    '/assets/..%2f..%2fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '/assets/....//package.json',
    '/assets/',
    '/assets',
    '/assets/.',
    '/assets/countersign.css/',
    '/assets/countersign.css%00.png',
    '/package.json',
    '/.git/config',
    '/.env',
    '/metrics',
    '/livez',
    '/readyz',
    '/admin',
    '/reg',
    '/register',
    '/device',
    '/device/auth',
    '/request',
    '/session/end',
    '/me',
    '/.well-known/',
    '/.well-known/jwks.json',
    '/development/callback',
  ])('leads to no file and nothing that is not offered: %s', async (path) => {
    const { answers } = await sendRaw(server, rawRequest(server, `GET ${path}`));
    expect(answers.map(({ status }) => status)).toEqual([404]);
    expect(isCleanRefusal(answers[0] ?? { status: 0, body: '' })).toBe(true);
  });

  it('is the endpoint in the form for proxies only when the host is ours', async () => {
    const headers = basic('web', server.secrets.web);
    const own = await sendRaw(server, rawForm(server, `${server.issuer}/token`, { body, headers }));
    expect(own.answers.map(({ status }) => status)).toEqual([200]);
    const attack = async () => {
      const [scheme, rest] = server.issuer.split('://');
      for (const target of [
        'https://evil.example/token',
        `http://${rest ?? ''}/token`,
        `${scheme ?? ''}://user@${rest ?? ''}/token`,
        `${scheme ?? ''}:/token`,
        `${server.issuer}//token`,
        `${server.issuer}/TOKEN`,
        '*',
        'token',
      ]) {
        const { answers } = await sendRaw(server, rawForm(server, target, { body, headers }));
        expect([400, 404, 421], `for ${target}`).toContain(answers[0]?.status);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const strange = ['BREW', 'get', 'Post', 'GET\t', 'X'.repeat(100), 'CONNECT', 'PRI'];

const offered: Record<string, readonly string[]> = {
  '/authorize': ['GET', 'HEAD', 'POST'],
  '/token': ['POST'],
  '/introspect': ['POST'],
  '/revoke': ['POST'],
  '/userinfo': ['GET', 'HEAD', 'POST'],
  '/logout': ['GET', 'HEAD', 'POST'],
  '/logout/confirm': ['POST'],
  '/jwks': ['GET', 'HEAD'],
  '/.well-known/openid-configuration': ['GET', 'HEAD'],
  '/.well-known/oauth-authorization-server': ['GET', 'HEAD'],
  '/assets/countersign.css': ['GET', 'HEAD'],
};

describe('A method that is not offered', () => {
  it.each(Object.keys(offered))('is refused, and reflects nothing: %s', async (path) => {
    const attack = async () => {
      for (const method of methods) {
        if (offered[path]?.includes(method) === true || method === 'OPTIONS') continue;
        const headers = { ...basic('web', server.secrets.web), 'X-Canary': 'c4nary' };
        const bytes = rawRequest(server, `${method} ${path}`, { headers });
        const { answers, text } = await sendRaw(server, bytes);
        expect([404, 405], `${method} ${text}`).toContain(answers[0]?.status);
        expect(text).not.toContain('c4nary');
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('is not made one by a header, a parameter or an unknown word', async () => {
    const attack = async () => {
      const own = basic('web', server.secrets.web);
      for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
        const headers = { ...own, [name]: 'POST' };
        const bytes = rawRequest(server, `GET /token?${body}&_method=POST`, { headers });
        expect([404, 405]).toContain((await sendRaw(server, bytes)).answers[0]?.status);
      }
      for (const method of strange) {
        const bytes = rawRequest(server, `${method} /token?${body}`, { headers: own });
        const { answers, text } = await sendRaw(server, bytes, { patienceMs: 300 });
        // Node answers CONNECT by hanging up.
        const status = answers[0]?.status ?? (text === '' ? 400 : 0);
        expect([400, 404, 405], `${method} ${text}`).toContain(status);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('is refused when it wants another protocol', async () => {
    for (const upgrade of ['websocket', 'h2c', 'TLS/1.0']) {
      const headers = { Connection: 'Upgrade', Upgrade: upgrade, 'HTTP2-Settings': 'AAMAAABk' };
      const bytes = rawRequest(server, 'GET /nowhere', { headers });
      const { text } = await sendRaw(server, bytes, { patienceMs: 300 });
      expect(text).not.toContain(' 101 ');
    }
  });
});
