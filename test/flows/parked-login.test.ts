import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let cli: CommandLine;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  cli = await commandLineBeside(server);
  web = await discoverWeb(server);
});

afterAll(async () => {
  await cli.remove();
  await server.stop();
});

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };

async function command(...words: string[]): Promise<void> {
  expect(await cli.run(['customers', ...words])).toMatchObject({ exitCode: 0 });
}

/** Logs in and keeps the redirect that would go on, as a thief does who waits for a better moment. */
async function parkLogin(agent: CustomerAgent): Promise<string> {
  const page = await agent.open((await authorizationRequest(web, forWeb)).url);
  const csrf = /name="csrf"[^>]*value="([^"]+)"/.exec(page.html)?.[1] ?? '';
  const { username, password } = server.customer;
  const action = `${page.url}/login`;
  const response = await server.fetch()(action, {
    method: 'POST',
    headers: { cookie: await agent.jar.getCookieString(action), origin: server.issuer },
    body: new URLSearchParams({ csrf, username, password, action: 'login' }),
  });
  expect(response.status).toBe(303);
  return response.headers.get('location') ?? '';
}

describe('A login that was not gone on with', () => {
  it('ends when the sessions of its customer are ended', async () => {
    const agent = createCustomerAgent(server);
    const parked = await parkLogin(agent);
    await command('end-sessions', 'casey');
    const page = await agent.open(parked);
    expect(page.status).toBe(400);
    expect(page.html).not.toContain('value="allow"');
  });

  it('goes on otherwise', async () => {
    const agent = createCustomerAgent(server);
    const page = await agent.open(await parkLogin(agent));
    expect(page.html).toContain('value="allow"');
  });
});

describe('A session whose customer was suspended', () => {
  it('has to log in, which fails, and causes no error', async () => {
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, forWeb);
    await agent.authorize(url);
    // Behind the back of the commands, which would end the session too.
    await server.running.app.customers.setStatus(server.customer.id, 'suspended');
    const page = await agent.open((await authorizationRequest(web, forWeb)).url);
    expect([page.status, page.html.includes('name="password"')]).toEqual([200, true]);
    const { url: silent } = await authorizationRequest(web, { ...forWeb, prompt: 'none' });
    const target = new URL((await agent.open(silent)).url);
    expect(target.searchParams.get('error')).toBe('login_required');
    await server.running.app.customers.setStatus(server.customer.id, 'active');
  });
});
