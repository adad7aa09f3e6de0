import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { atOnce, callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
let twin: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  twin = await startAuthorizationServer({ beside: server });
  web = await discoverWeb(server);
});

afterAll(async () => {
  await twin.stop();
  await server.stop();
});

const times = 10;

async function begin(agent: CustomerAgent) {
  const request = await authorizationRequest(web, {
    redirect_uri: callbacks.web,
    scope: 'openid accounts',
  });
  return { request, login: await agent.open(request.url) };
}

/** What the customer sees when one form is sent `times` times, half of them to the other server. */
function submitAtOnce(agent: CustomerAgent, page: Page, fields: Record<string, string>) {
  return atOnce([server, twin], times, (at) => agent.fork(at).submit(page, fields));
}

async function codes(): Promise<number> {
  const rows = await stored(server, "SELECT 1 FROM artifacts WHERE kind = 'AuthorizationCode'");
  return rows.length;
}

function expectCleanRefusal(page: Page): void {
  // 429: ten attempts at once are more than the throttle lets through.
  expect([400, 409, 429]).toContain(page.status);
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.html).toContain('<html lang="en"');
}

describe('A consent form', () => {
  it('sent many times at once on two servers gives one code, and the code works', async () => {
    const agent = createCustomerAgent(server);
    const { request, login } = await begin(agent);
    const { username, password } = server.customer;
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const before = await codes();
    const pages = await submitAtOnce(agent, consent, { decision: 'allow' });

    const arrived = pages.filter(({ url }) => url.startsWith(callbacks.web));
    expect(arrived).toHaveLength(1);
    expect(await codes()).toBe(before + 1);
    for (const page of pages) {
      if (!arrived.includes(page)) expectCleanRefusal(page);
    }
    const callback = new URL(arrived[0]?.url ?? '');
    const tokens = await openid.authorizationCodeGrant(web, callback, request.checks);
    expect(tokens.access_token).not.toBe('');
  });

  it('that says yes and no at once is decided once', async () => {
    const agent = createCustomerAgent(server);
    const { login } = await begin(agent);
    const { username, password } = server.customer;
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const pages = await Promise.all([
      agent.fork(server).submit(consent, { decision: 'allow' }),
      agent.fork(twin).submit(consent, { decision: 'deny' }),
    ]);
    const arrived = pages.filter(({ url }) => url.startsWith(callbacks.web));
    expect(arrived).toHaveLength(1);
    const { searchParams } = new URL(arrived[0]?.url ?? '');
    expect(searchParams.has('code')).not.toBe(searchParams.has('error'));
  });

  it('sent again later shows a page, and gives no second code', async () => {
    const agent = createCustomerAgent(server);
    const { login } = await begin(agent);
    const { username, password } = server.customer;
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const copy = agent.fork(server);
    await agent.submit(consent, { decision: 'allow' });
    const before = await codes();
    for (const tab of [agent, copy]) {
      expectCleanRefusal(await tab.submit(consent, { decision: 'allow' }));
    }
    expect(await codes()).toBe(before);
  });
});

describe('A login form', () => {
  it('sent many times at once on two servers logs in once', async () => {
    const agent = createCustomerAgent(server);
    const { login } = await begin(agent);
    const { username, password } = server.customer;
    const pages = await submitAtOnce(agent, login, { username, password, action: 'login' });
    const consents = pages.filter(({ html }) => html.includes('value="allow"'));
    expect(consents).toHaveLength(1);
    for (const page of pages) {
      if (!consents.includes(page)) expectCleanRefusal(page);
    }
  });
});
