import type * as openid from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { Page } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };

/** One of every page that a customer can come to. */
async function everyPage(): Promise<Record<string, Page>> {
  const agent = createCustomerAgent(server);
  const { url } = await authorizationRequest(web, forWeb);
  const formPost = await authorizationRequest(web, {
    ...forWeb,
    response_mode: 'form_post',
    prompt: 'none',
  });
  const login = await agent.open(url);
  const { username, password } = server.customer;
  const failed = await agent.submit(login, { username: 'nobody', password, action: 'login' });
  const consent = await agent.submit(login, { username, password, action: 'login' });
  await agent.submit(consent, { decision: 'allow' });
  const logout = await agent.open(`${server.issuer}/logout`);
  return {
    login,
    failed,
    consent,
    logout,
    loggedOut: await agent.submit(logout, { logout: 'yes' }),
    formPost: await agent.open(formPost.url),
    signedOutAlready: await agent.open(`${server.issuer}/logout`),
    error: await agent.open(`${server.issuer}/authorize?client_id=nobody`),
    notFound: await agent.open(`${server.issuer}/nowhere`),
    badPost: await agent.open(login.url, { method: 'POST', body: new URLSearchParams() }),
    usedUp: await agent.open(login.url),
  };
}

it('No page lets itself be framed, nor loads or runs anything foreign', async () => {
  for (const [name, { headers, html }] of Object.entries(await everyPage())) {
    expect(html, `for ${name}`).toMatch(/^<!doctype html>/i);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy, `for ${name}`).toContain("default-src 'none'");
    expect(policy, `for ${name}`).toContain("frame-ancestors 'none'");
    expect(policy, `for ${name}`).toContain("base-uri 'none'");
    expect(policy, `for ${name}`).not.toMatch(/unsafe-|\*| https?:(?: |;|$)|data:/);
    expect(headers.get('x-frame-options'), `for ${name}`).toBe('DENY');
    expect(headers.get('x-content-type-options'), `for ${name}`).toBe('nosniff');
    expect(headers.get('referrer-policy'), `for ${name}`).toBe('no-referrer');
    expect(headers.get('cross-origin-opener-policy'), `for ${name}`).toBe('same-origin');
    expect(headers.get('cache-control'), `for ${name}`).toContain('no-store');
  }
});
