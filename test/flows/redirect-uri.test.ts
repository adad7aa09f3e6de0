import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, openAuthorization } from '../support/journey.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

function request(clientId: string, redirectUri: string): Record<string, string> {
  return {
    client_id: clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'accounts',
    state: 'st4te',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeGt8NwTx1VOBkPDcqHI',
    code_challenge_method: 'S256',
  };
}

describe('A web client', () => {
  it.each([
    'https://web.example.com/callback/',
    'https://web.example.com/Callback',
    'https://WEB.example.com/callback',
    'https://web.example.com:443/callback',
    'https://web.example.com:8443/callback',
    'https://web.example.com/callback?x=1',
    'https://web.example.com/callback?',
    'https://web.example.com/callback#x',
    'https://web.example.com/callback%2F',
    'https://web.example.com/%63allback',
    'https://web.example.com/callback/../callback',
    'https://web.example.com/x/../callback',
    'https://web.example.com//callback',
    'https://web.example.com/callback ',
    ' https://web.example.com/callback',
    'https://web.example.com/callback\r\n',
    'https://web.example.com/callback\u0000',
    'https://user@web.example.com/callback',
    'https://web.example.com@evil.example/callback',
    'https://web.example.com.evil.example/callback',
    'https://web.example.com\\@evil.example/callback',
    'https://evil.example/https://web.example.com/callback',
    'http://web.example.com/callback',
    '//web.example.com/callback',
    '/callback',
    'web.example.com/callback',
    'javascript:alert(1)//https://web.example.com/callback',
    'data:text/html,x',
    'https://web.example.com',
    '',
  ])('is not answered at %j', async (redirectUri) => {
    const page = await openAuthorization(server, request('web', redirectUri));
    expect(page.status).toBe(400);
    expect(new URL(page.url).origin).toBe(server.issuer);
    expect(page.headers.get('location')).toBeNull();
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(page.html).not.toContain('evil.example');
    expect(page.html).not.toContain('<form');
  });

  it.each(['https://web.example.com/callback', 'https://web.example.com/other'])(
    'is answered at %s, which it registered',
    async (redirectUri) => {
      const parameters = { ...request('web', redirectUri), prompt: 'none' };
      const page = await openAuthorization(server, parameters);
      const { origin, pathname, searchParams } = new URL(page.url);
      expect(origin + pathname).toBe(redirectUri);
      expect(Object.fromEntries(searchParams)).toMatchObject({
        error: 'login_required',
        state: 'st4te',
        iss: server.issuer,
      });
    },
  );

  it('has to say which one, even if it had one only', async () => {
    const { redirect_uri: _, ...rest } = request('tpp', callbacks.tpp);
    const page = await openAuthorization(server, rest);
    expect(page.status).toBe(400);
    expect(new URL(page.url).origin).toBe(server.issuer);
  });

  it('is not answered at the address of another client', async () => {
    const page = await openAuthorization(server, request('web', callbacks.tpp));
    expect(page.status).toBe(400);
  });

  it('that says two is not answered', async () => {
    const parameters = [
      ...Object.entries(request('web', callbacks.web)),
      ['redirect_uri', 'https://evil.example/'] as [string, string],
    ];
    const page = await openAuthorization(server, parameters);
    expect(page.status).toBe(400);
    expect(new URL(page.url).origin).toBe(server.issuer);
  });
});

describe('A native client', () => {
  it.each([
    'http://127.0.0.1/callback',
    'http://127.0.0.1:1/callback',
    'http://127.0.0.1:65535/callback',
    'com.example.app:/callback',
  ])('is answered at %s', async (redirectUri) => {
    const { username, password } = server.customer;
    const agent = createCustomerAgent(server);
    const url = new URLSearchParams(request('app', redirectUri)).toString();
    const callback = await agent.authorize(`${server.issuer}/authorize?${url}`, {
      username,
      password,
    });
    expect(callback.href.startsWith(`${redirectUri}?`)).toBe(true);
    expect(callback.searchParams.get('code')).not.toBeNull();
  });

  it.each([
    'http://127.0.0.1:65536/callback',
    'http://127.0.0.1:1234/Callback',
    'http://127.0.0.1:1234/callback/',
    'http://127.0.0.1:1234/callback?x=1',
    'http://127.0.0.1:1234/callback#x',
    'http://127.0.0.1:1234@evil.example/callback',
    'http://user@127.0.0.1:1234/callback',
    'http://127.0.0.1.evil.example:1234/callback',
    'http://127.1:1234/callback',
    'http://0x7f000001:1234/callback',
    'http://localhost:1234/callback',
    'http://[::1]:1234/callback',
    'https://127.0.0.1:1234/callback',
    'com.example.app:/callback/',
    'com.example.app://callback',
    'com.example.app.evil:/callback',
    'COM.example.app:/callback',
  ])('is not answered at %s', async (redirectUri) => {
    const page = await openAuthorization(server, request('app', redirectUri));
    expect(page.status).toBe(400);
    expect(new URL(page.url).origin).toBe(server.issuer);
  });
});

describe('An unknown client', () => {
  it.each(['nobody', '', "x' OR 1=1", '../tpp', 'web\u0000', 'x'.repeat(5000)])(
    'called %j gets our error page, in the same words, and no redirect',
    async (clientId) => {
      const page = await openAuthorization(server, request(clientId, 'https://evil.example/'));
      expect(page.status).toBe(400);
      expect(page.headers.get('location')).toBeNull();
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(page.html).toContain('<html lang="en"');
      expect(page.html).not.toContain('evil.example');
    },
  );
});
