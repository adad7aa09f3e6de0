import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { authorize, callbacks, discoverWeb, obtainTokens } from '../support/journey.ts';
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
const evilUrl = 'https://evil.example/';
const targets = [
  'https://evil.example/',
  '//evil.example/',
  '/\\evil.example/',
  'https:evil.example',
  'https://web.example.com.evil.example/logged-out',
  'https://web.example.com@evil.example/logged-out',
  'https://web.example.com/logged-out/../x',
  'https://web.example.com/logged-out?x',
  'https://web.example.com/logged-out#x',
  'https://web.example.com/Logged-out',
  'https://web.example.com/callback',
  'https://tpp.example.com/logged-out',
  'javascript:alert(1)',
  'data:text/html,x',
  ' https://web.example.com/logged-out',
];

function expectAtHome(page: Page): void {
  expect(new URL(page.url).origin).toBe(server.issuer);
  expect(page.headers.get('location')).toBeNull();
  expect(page.html).not.toMatch(/(?:href|action|src)="[^"]*(?:evil\.example|javascript:|data:)/);
  expect(page.headers.get('refresh')).toBeNull();
}

async function logout(agent: CustomerAgent, parameters: Record<string, string>): Promise<Page> {
  const query = new URLSearchParams(parameters).toString();
  const page = await agent.open(`${server.issuer}/logout?${query}`);
  expectAtHome(page);
  return page.html.includes('op.logoutForm') ? agent.submit(page, { logout: 'yes' }) : page;
}

describe('Logout sends nobody', () => {
  it('to an address that the client did not register, whoever is named', async () => {
    const agent = createCustomerAgent(server);
    const { id_token = '' } = await obtainTokens(server, web, { parameters: forWeb, agent });
    for (const post_logout_redirect_uri of targets) {
      for (const whose of [{}, { client_id: 'web' }, { id_token_hint: id_token }] as const) {
        const parameters = { post_logout_redirect_uri, state: 'x', ...whose };
        const query = new URLSearchParams(parameters).toString();
        expectAtHome(await agent.open(`${server.issuer}/logout?${query}`));
      }
    }
  });

  it('anywhere without a client', async () => {
    for (const post_logout_redirect_uri of targets.slice(0, 4)) {
      const agent = createCustomerAgent(server);
      await authorize(server, web, { parameters: forWeb, agent });
      expectAtHome(await logout(agent, { post_logout_redirect_uri }));
    }
  });

  it('to one client’s address in the name of another one', async () => {
    const agent = createCustomerAgent(server);
    await authorize(server, web, { parameters: forWeb, agent });
    const post_logout_redirect_uri = 'https://web.example.com/logged-out';
    expectAtHome(await logout(agent, { post_logout_redirect_uri, client_id: 'tpp' }));
    expectAtHome(await logout(agent, { post_logout_redirect_uri, client_id: 'nobody' }));
  });

  it('to an address in the form itself', async () => {
    const agent = createCustomerAgent(server);
    await authorize(server, web, { parameters: forWeb, agent });
    const page = await agent.open(`${server.issuer}/logout`);
    const post_logout_redirect_uri = 'https://evil.example/';
    expectAtHome(
      await agent.submit(page, { logout: 'yes', post_logout_redirect_uri, redirect_uri: 'x' }),
    );
  });

  it('from the page that says it is done', async () => {
    const query = 'client_id=web&post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F&state=x';
    expectAtHome(
      await createCustomerAgent(server).open(`${server.issuer}/logout/success?${query}`),
    );
  });
});

describe('Our pages send nobody', () => {
  it.each(['//evil.example', '/\\evil.example', '/https://evil.example', '/.evil.example'])(
    'away at %s',
    async (path) => {
      for (const suffix of ['', '/', '/..', '/%2e%2e']) {
        const answer = await server.fetch()(server.issuer + path + suffix);
        expect(answer.status).toBe(404);
        expect(answer.headers.get('location')).toBeNull();
      }
    },
  );

  it('away by parameters that other products know', async () => {
    const names = ['next', 'url', 'redirect', 'return', 'return_to', 'returnTo', 'continue'];
    const more = [...names, 'goto', 'target', 'target_link_uri', 'redirect_url', 'callback', 'iss'];
    const query = new URLSearchParams(more.map((name): [string, string] => [name, evilUrl]));
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, forWeb);
    const login = await agent.open(`${url}&${query.toString()}`);
    expectAtHome(login);
    expect(login.html).not.toContain('evil.example');
    expectAtHome(await agent.open(`${login.url}?${query.toString()}`));
    const evil = Object.fromEntries(query);
    const { username, password } = server.customer;
    const consent = await agent.submit(login, { username, password, action: 'login' });
    expectAtHome(consent);
    const done = await agent.submit(consent, { decision: 'allow', ...evil }).catch(() => undefined);
    expect(done === undefined || new URL(done.url).hostname !== 'evil.example').toBe(true);
  });

  it('away by an address in the language', async () => {
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, {
      ...forWeb,
      ui_locales: 'https://evil.example/ //evil.example',
    });
    const login = await agent.open(url);
    expectAtHome(login);
    expectAtHome(await agent.open(`${login.url}?ui_locales=https%3A%2F%2Fevil.example%2F`));
  });

  it('away when they switch the account: the client stays the same', async () => {
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, forWeb);
    const { username, password } = server.customer;
    const login = await agent.open(url);
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const attack = async () => {
      const again = await agent.submit(consent, { decision: 'switch' });
      expectAtHome(again);
      expect(again.html).toContain('name="password"');
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});
