import type { Middleware } from 'koa';
import { afterEach, describe, expect, it } from 'vitest';
import { pageHeaders, securityHeaders } from '../../src/http/headers.ts';
import { serveSteps, type TestServer } from '../support/http-server.ts';

function policyFor(formActions: string[]): string {
  const headers = new Map<string, string>();
  pageHeaders({ set: (field, value) => headers.set(field, value) }, { formActions });
  return headers.get('Content-Security-Policy') ?? '';
}

describe('every response', () => {
  let server: TestServer | undefined;

  afterEach(async () => {
    await server?.close();
  });

  const show: Middleware = (ctx) => {
    ctx.body = ctx.response.get('Content-Security-Policy');
  };

  async function answer(path: string, hstsMaxAgeSeconds = 3600): Promise<Response> {
    server = await serveSteps([securityHeaders({ hstsMaxAgeSeconds }), show]);
    return fetch(server.origin + path);
  }

  it('carries the headers, and its policy is there before what follows', async () => {
    const response = await answer('/token');
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-security-policy':
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; " +
        "frame-ancestors 'none'; form-action 'self'",
      'strict-transport-security': 'max-age=3600; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(response.headers.get('permissions-policy')).toContain('camera=()');
    expect(await response.text()).toContain("script-src 'self'");
  });

  it('leaves HSTS out for 0 seconds', async () => {
    expect((await answer('/token', 0)).headers.has('strict-transport-security')).toBe(false);
  });

  it.each(['/jwks', '/.well-known/openid-configuration', '/assets/countersign.css'])(
    'at %s may be used by other origins',
    async (path) => {
      expect((await answer(path)).headers.has('cross-origin-resource-policy')).toBe(false);
    },
  );

  it.each(['/jwks/x', '/interaction/1', '/x/assets/y'])('at %s may not', async (path) => {
    const { headers } = await answer(path);
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
  });
});

describe('a page', () => {
  it('is never stored', () => {
    const headers: string[] = [];
    pageHeaders({ set: (field, value) => headers.push(`${field}: ${value}`) });
    expect(headers).toContain('Cache-Control: no-store');
  });

  it.each([
    ['https://money.example/cb?x=1#y', 'https://money.example'],
    ['https://MONEY.example:8443/cb', 'https://money.example:8443'],
    ['http://127.0.0.1:49152/cb', 'http://127.0.0.1:49152'],
    ['http://[::1]:49152/cb', 'http:'],
    ['com.example.money:/cb', 'com.example.money:'],
    ['https://user:secret@money.example/', 'https://money.example'],
    ["https://money.example/;script-src 'unsafe-inline'", 'https://money.example'],
    ['https://money.example/\r\nSet-Cookie: a=b', 'https://money.example'],
  ])('lets its form end at %j by naming %s', (redirectUri, source) => {
    expect(policyFor([redirectUri])).toMatch(/; form-action [^;]+$/);
    expect(policyFor([redirectUri]).endsWith(`; form-action 'self' ${source}`)).toBe(true);
  });

  it.each([
    'https://a;script-src.example/',
    "https://'unsafe-inline'/",
    'https://a,b.example/',
    'https://*.example/',
    'javascript:alert(1)',
    'data:text/html,x',
    'blob:https://money.example/1',
    'not a URL',
    '',
  ])('refuses to let its form end at %j', (redirectUri) => {
    expect(() => policyFor([redirectUri])).toThrow(
      expect.objectContaining({ code: 'client_invalid' }),
    );
  });

  it('names a target once', () => {
    const policy = policyFor(['https://money.example/a', 'https://money.example/b']);
    expect(policy.match(/money\.example/g)).toHaveLength(1);
  });
});
