import type { Middleware } from 'koa';
import { describe, expect, it } from 'vitest';
import { pageHeaders, securityHeaders } from '../../src/http/headers.ts';
import { serveSteps, type PlainResponse } from '../support/http-server.ts';

function policyFor(formActions: string[]): string {
  const headers = new Map<string, string>();
  pageHeaders({ set: (field, value) => headers.set(field, value) }, { formActions });
  return headers.get('Content-Security-Policy') ?? '';
}

describe('every response', () => {
  const show: Middleware = (ctx) => {
    ctx.body = ctx.response.get('Content-Security-Policy');
  };

  async function answer(path: string, hstsMaxAgeSeconds = 3600): Promise<PlainResponse> {
    await using server = await serveSteps([securityHeaders({ hstsMaxAgeSeconds }), show]);
    return await server.send(path);
  }

  it('carries the headers, and its policy is there before what follows', async () => {
    const { headers, body } = await answer('/token');
    expect(headers).toMatchObject({
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
    expect(headers['permissions-policy']).toContain('camera=()');
    expect(body).toContain("script-src 'self'");
  });

  it('that only programs read can load nothing, be framed nowhere and be taken for nothing else', async () => {
    const isForPrograms = (path: string) => path === '/token';
    const step = securityHeaders({ hstsMaxAgeSeconds: 3600, isForPrograms });
    await using server = await serveSteps([step, show]);
    const { headers } = await server.send('/token');
    expect(headers).toMatchObject({
      'content-security-policy': "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
      'strict-transport-security': 'max-age=3600; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    expect((await server.send('/login')).headers).toHaveProperty('x-frame-options');
  });

  it('leaves HSTS out for 0 seconds', async () => {
    expect((await answer('/token', 0)).headers).not.toHaveProperty('strict-transport-security');
  });

  it.each(['/jwks', '/.well-known/openid-configuration', '/assets/countersign.css'])(
    'at %s may be used by other origins',
    async (path) => {
      expect((await answer(path)).headers).not.toHaveProperty('cross-origin-resource-policy');
    },
  );

  it.each(['/jwks/x', '/interaction/1', '/x/assets/y'])('at %s may not', async (path) => {
    const { headers } = await answer(path);
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
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
