import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isCleanRefusal, issuedBy, rawRequest, sendRaw } from '../support/attack.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

const paths = ['/.well-known/openid-configuration', '/authorize?client_id=web', '/logout', '/jwks'];

describe('A foreign Host', () => {
  it.each([
    'evil.example',
    'evil.example:443',
    'localhost',
    'localhost:1',
    'localhost.',
    'localhost:PORT.evil.example',
    'evil.example:PORT',
    'localhost:PORT@evil.example',
    'evil.example@localhost:PORT',
    'localhost:PORT/evil.example',
    'localhost:PORT, evil.example',
    'localhost:PORT evil.example',
    'localhost:0PORT',
    '127.0.0.1:PORT',
    '[::1]:PORT',
    '',
  ])('%j is refused, and comes back nowhere', async (pattern) => {
    const host = pattern.replace('PORT', new URL(server.issuer).port);
    for (const path of paths) {
      const bytes = rawRequest(server, `GET ${path}`, { headers: { Host: host } });
      const { answers } = await sendRaw(server, bytes);
      const [answer] = answers;
      expect([400, 421]).toContain(answer?.status);
      expect(answer?.headers).not.toHaveProperty('location');
      expect(JSON.stringify(answer)).not.toContain('evil.example');
    }
  });

  it('is refused over mTLS as well, as is the other listener’s', async () => {
    for (const host of ['evil.example', new URL(server.issuer).host]) {
      const bytes = rawRequest(server, 'GET /jwks', { headers: { Host: host } });
      const { answers } = await sendRaw(server, bytes, { listener: 'mtls' });
      expect(answers.map(({ status }) => status)).toEqual([421]);
    }
  });

  it('in the request target, or as a second line, is refused', async () => {
    const { host } = new URL(server.issuer);
    const attacks = [
      `GET https://evil.example/jwks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      `GET http://${host}/jwks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      `GET //evil.example/jwks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nHost: evil.example\r\nConnection: close\r\n\r\n`,
      `GET /jwks HTTP/1.1\r\nHost: evil.example\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      `GET /jwks HTTP/1.1\r\nHost : ${host}\r\nConnection: close\r\n\r\n`,
      `GET /jwks HTTP/1.1\r\n Host: ${host}\r\nConnection: close\r\n\r\n`,
      `GET /jwks HTTP/1.1\r\nConnection: close\r\n\r\n`,
      `GET /jwks HTTP/1.0\r\nConnection: close\r\n\r\n`,
      `GET evil.example HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    ];
    for (const bytes of attacks) {
      const { answers, text } = await sendRaw(server, bytes);
      const answered = answers.map(({ status }) => status);
      expect([[400], [404], [421]], `for ${JSON.stringify(bytes)}`).toContainEqual(answered);
      expect(text).not.toContain('evil.example');
    }
  });
});

describe('Headers of a proxy that nobody trusts', () => {
  it('change no URL that we build, and no answer', async () => {
    const headers = {
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Port': '80',
      'X-Forwarded-Server': 'evil.example',
      'X-Forwarded-Prefix': '/evil',
      'X-Host': 'evil.example',
      'X-Original-Host': 'evil.example',
      'X-Original-URL': '/evil',
      'X-Rewrite-URL': '/evil',
      'X-HTTP-Method-Override': 'POST',
      Forwarded: 'for=192.0.2.1;host=evil.example;proto=http',
      Base_Url: 'https://evil.example',
    };
    const fetch = server.fetch();
    for (const path of [
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
    ]) {
      const plain = await (await fetch(server.issuer + path)).text();
      const spoofed = await (await fetch(server.issuer + path, { headers })).text();
      expect(spoofed).toBe(plain);
      expect(plain).toContain(`"issuer":"${server.issuer}"`);
    }
    const query =
      'client_id=web&response_type=code&scope=accounts&redirect_uri=https%3A%2F%2Fweb.example.com%2Fcallback';
    const challenge = `code_challenge=${'a'.repeat(43)}&code_challenge_method=S256`;
    const url = `${server.issuer}/authorize?${query}&${challenge}`;
    const started = await fetch(url, { headers });
    expect(started.headers.get('location')).toMatch(
      /^(?:\/|https:\/\/localhost:\d+\/)interaction\//,
    );
    expect(JSON.stringify([...started.headers])).not.toContain('evil');
  });

  it('don’t make up an address for the throttle and the audit trail', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.7', Forwarded: 'for=203.0.113.7' };
    const attack = async () => {
      const answer = await server.fetch()(`${server.issuer}/token`, { method: 'POST', headers });
      expect(isCleanRefusal({ status: answer.status, body: await answer.text() })).toBe(true);
    };
    expect(await issuedBy(server, attack)).toBe(0);
    expect(await server.log.raw()).not.toContain('203.0.113.7');
  });
});
