import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { authorize, callbacks, discoverWeb } from '../support/journey.ts';
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
const foreign: Record<string, string>[] = [
  { origin: 'https://evil.example' },
  { origin: 'http://localhost' },
  { origin: 'https://localhost' },
  { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: 'null', 'sec-fetch-site': 'cross-site' },
];

async function beginAt(step: 'login' | 'consent', agent: CustomerAgent): Promise<Page> {
  const { url } = await authorizationRequest(web, forWeb);
  const login = await agent.open(url);
  if (step === 'login') return login;
  const { username, password } = server.customer;
  return agent.submit(login, { username, password, action: 'login' });
}

function tokenIn({ html }: Page): string {
  return /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? '';
}

function fieldsOf(step: 'login' | 'consent'): Record<string, string> {
  const { username, password } = server.customer;
  return step === 'login' ? { username, password, action: 'login' } : { decision: 'allow' };
}

interface Sending {
  page: Page;
  step: 'login' | 'consent';
  cookie: string;
  csrf?: string;
  headers?: Record<string, string>;
}

function send({ page, step, cookie, csrf, headers }: Sending) {
  const uid = new URL(page.url).pathname.split('/')[2] ?? '';
  return server.fetch()(`${server.issuer}/interaction/${uid}/${step}`, {
    method: 'POST',
    body: new URLSearchParams({ ...fieldsOf(step), ...(csrf === undefined ? {} : { csrf }) }),
    headers: { cookie, accept: 'text/html', ...headers },
  });
}

describe.each(['login', 'consent'] as const)('The %s form', (step) => {
  it('of another origin or site is refused, even with the right token', async () => {
    const agent = createCustomerAgent(server);
    const page = await beginAt(step, agent);
    const cookie = await agent.jar.getCookieString(page.url);
    const attack = async () => {
      for (const headers of foreign) {
        const answer = await send({ page, step, cookie, csrf: tokenIn(page), headers });
        expect(answer.status, `for ${JSON.stringify(headers)}`).toBe(403);
        expect(answer.headers.get('location')).toBeNull();
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
    const honest = { origin: server.issuer, 'sec-fetch-site': 'same-origin' };
    const sent = await send({ page, step, cookie, csrf: tokenIn(page), headers: honest });
    expect(sent.status).toBe(303);
  });

  it('without its token, or with another one, is refused', async () => {
    const agent = createCustomerAgent(server);
    const page = await beginAt(step, agent);
    const other = await beginAt(step, createCustomerAgent(server));
    const cookie = await agent.jar.getCookieString(page.url);
    const right = tokenIn(page);
    const flipped = `${right.slice(0, -2)}${right.endsWith('AA') ? 'BB' : 'AA'}`;
    const wrong = [undefined, '', 'x', right.slice(1), flipped, `${right}AA`, tokenIn(other)];
    const attack = async () => {
      for (const csrf of wrong) {
        const answer = await send({ page, step, cookie, ...(csrf === undefined ? {} : { csrf }) });
        expect(answer.status, `for ${csrf ?? 'none'}`).toBe(403);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('is no use without the browser’s cookie, or with the attacker’s', async () => {
    const agent = createCustomerAgent(server);
    const page = await beginAt(step, agent);
    const attacker = createCustomerAgent(server);
    const theirs = await beginAt(step, attacker);
    const attack = async () => {
      for (const cookie of ['', await attacker.jar.getCookieString(theirs.url)]) {
        const answer = await send({ page, step, cookie, csrf: tokenIn(page) });
        expect(answer.status).toBe(cookie === '' ? 400 : 403);
        expect(answer.headers.get('location')).toBeNull();
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('is not sent by a link: GET changes nothing', async () => {
    const agent = createCustomerAgent(server);
    const page = await beginAt(step, agent);
    const attack = async () => {
      const query = new URLSearchParams({ ...fieldsOf(step), csrf: tokenIn(page) }).toString();
      const answer = await agent.open(`${page.url}/${step}?${query}`);
      expect(new URL(answer.url).origin).toBe(server.issuer);
      expect(answer.html).toContain('<html');
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

describe('The logout form', () => {
  it.each(['', 'x', 'x'.repeat(21)])('with the token %j signs nobody out', async (xsrf) => {
    const agent = createCustomerAgent(server);
    await authorize(server, web, { parameters: forWeb, agent });
    await agent.open(`${server.issuer}/logout`);
    const body = new URLSearchParams({ xsrf, logout: 'yes' });
    const answer = await agent.open(`${server.issuer}/logout/confirm`, { method: 'POST', body });
    expect(answer.status).toBe(400);
    const { url } = await authorizationRequest(web, { ...forWeb, prompt: 'none' });
    const { searchParams } = new URL((await agent.open(url)).url);
    expect(searchParams.get('code')).not.toBeNull();
  });
});

describe('Cookies', () => {
  it('are out of reach for scripts, plain http and forms of other sites', async () => {
    const agent = createCustomerAgent(server);
    await authorize(server, web, { parameters: forWeb, agent });
    await beginAt('login', createCustomerAgent(server));
    const fresh = await server.fetch()((await authorizationRequest(web, forWeb)).url);
    const set = fresh.headers.getSetCookie();
    expect(set.length).toBeGreaterThan(0);
    for (const cookie of set) {
      expect(cookie).toMatch(/; secure/i);
      expect(cookie).toMatch(/; httponly/i);
      expect(cookie).toMatch(/; samesite=(?:lax|strict)/i);
      expect(cookie).not.toMatch(/; domain=/i);
      expect(cookie).toMatch(/^__(?:Host|Secure)-/);
    }
    const kept = (await agent.jar.serialize()).cookies;
    expect(kept.map(({ key }) => key)).toContain('__Host-session');
    for (const { key, httpOnly, secure, sameSite } of kept) {
      expect([key, httpOnly, secure, sameSite]).toEqual([key, true, true, 'lax']);
    }
  });
});
