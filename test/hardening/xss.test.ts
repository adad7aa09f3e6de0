import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { startBrowsing } from '../support/browsing.ts';
import type { Browsing } from '../support/browsing.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

/** Leaves its mark in the document wherever it is taken for markup, and in the text wherever it is not. */
const canary = (name: string) =>
  `${name}"'><x-canary onclick=x><script>canary()</script>\${1234*5678}<%=1234*5678%>`;

const api = 'https://hostile.example.com';
const redirectUri = 'https://hostile-client.example.com/callback?x=%22%3E%3Cx-canary%3E';
let server: AuthorizationServer;
let browsing: Browsing;
const customer = { username: canary('user'), password: 'a rather long password' };

beforeAll(async () => {
  server = await startAuthorizationServer({
    resourceServers: [
      {
        identifier: api,
        name: canary('resource'),
        scopes: { see: { en: canary('sentence'), de: canary('satz') }, 'x-<x-canary>': {} },
      },
    ],
    clients: [
      {
        metadata: {
          client_id: 'hostile',
          client_name: canary('client'),
          client_uri: 'https://hostile.example.com/?"\'><x-canary onclick=x>',
          redirect_uris: [redirectUri],
          post_logout_redirect_uris: ['https://hostile-client.example.com/out'],
          grant_types: ['authorization_code'],
          token_endpoint_auth_method: 'none',
        },
        permissions: { [api]: ['see', 'x-<x-canary>'] },
      },
    ],
  });
  const { customers, passwords } = server.running.app;
  const profile = { username: customer.username, name: canary('name') };
  await addCustomer(
    { profile, password: customer.password },
    { customers, passwords, clock: systemClock },
  );
  browsing = await startBrowsing(server);
});

afterAll(async () => {
  await browsing.close();
  await server.stop();
});

function authorizationUrl(parameters: Record<string, string>): string {
  const query = new URLSearchParams({
    client_id: 'hostile',
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid profile email see x-<x-canary>',
    resource: api,
    state: canary('state'),
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeGt8NwTx1VOBkPDcqHI',
    code_challenge_method: 'S256',
    ...parameters,
  });
  return `${server.issuer}/authorize?${query.toString()}`;
}

/** A page that notes everything that should not happen in it. */
async function watchedPage(): Promise<{ page: Page; alarms: string[] }> {
  const { page, complaints: alarms } = await browsing.visit();
  await page.exposeFunction('canary', () => alarms.push('script ran'));
  page.on('dialog', (dialog) => {
    alarms.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const { origin, hostname } = new URL(request.url());
    const isExpected = origin === server.issuer || hostname === 'hostile-client.example.com';
    if (!isExpected) alarms.push(`request to ${request.url()}`);
  });
  return { page, alarms };
}

/** Nothing in the document came out of a value; what is expected stands there as text. */
async function expectText(page: Page, ...texts: string[]): Promise<void> {
  const foreign = await page
    .locator('x-canary, [onclick], [onerror], script:not([src]), [href^="javascript:"]')
    .count();
  expect(foreign).toBe(0);
  const shown = await page.locator('body').innerText();
  for (const text of texts) expect(shown).toContain(text);
  expect(shown).not.toContain('7006652');
}

describe('No value becomes markup', () => {
  it('from the login to the logout', async () => {
    const { page, alarms } = await watchedPage();
    const hint = canary('hint');
    const hints = { login_hint: hint, ui_locales: canary('en'), acr_values: canary('acr') };
    await page.goto(authorizationUrl(hints));
    await expectText(page, canary('client'));
    expect(await page.inputValue('#username')).toBe(hint);

    await page.fill('#username', canary('wrong'));
    await page.fill('#password', canary('password'));
    await page.click('button[value="login"]');
    await expectText(page, canary('client'));
    expect(await page.inputValue('#username')).toBe(canary('wrong'));

    await page.fill('#username', customer.username);
    await page.fill('#password', customer.password);
    await page.click('button[value="login"]');
    await page.waitForSelector('button[value="allow"]');
    await expectText(
      page,
      canary('client'),
      canary('name'),
      canary('resource'),
      canary('sentence'),
    );
    await expectText(page, 'hostile-client.example.com', 'x-<x-canary>');
    for (const link of await page.locator('a').all()) {
      expect(await link.getAttribute('href')).toMatch(/^(?:https:\/\/hostile\.example\.com\/|\/)/);
    }

    await page.click('button[value="allow"]');
    await page.waitForURL('https://hostile-client.example.com/**');
    expect(new URL(page.url()).searchParams.get('state')).toBe(canary('state'));

    const out = new URLSearchParams({ client_id: 'hostile', state: canary('state') });
    await page.goto(`${server.issuer}/logout?${out.toString()}`);
    await expectText(page, canary('client'));
    await page.click('button[name="logout"]');
    await page.waitForURL(/\/logout\/success/);
    await page.goto(`${server.issuer}/logout/success?client_id=hostile`);
    await expectText(page, canary('client'));
    expect(alarms).toEqual([]);
    await page.context().close();
  });

  it('on error pages, whatever is wrong and in whatever place', async () => {
    const { page, alarms } = await watchedPage();
    const evil = encodeURIComponent(canary('error'));
    const names = [
      'client_id',
      'redirect_uri',
      'response_mode',
      'scope',
      'error',
      'error_description',
    ];
    const urls = [
      ...names.map((name) => authorizationUrl({ client_id: 'nobody', [name]: canary(name) })),
      `${server.issuer}/authorize/${evil}`,
      `${server.issuer}/interaction/${evil}`,
      `${server.issuer}/logout?id_token_hint=${evil}`,
      `${server.issuer}/logout?client_id=${evil}`,
      `${server.issuer}/logout/success?client_id=${evil}`,
      `${server.issuer}/${evil}`,
      `${server.issuer}/assets/${evil}`,
      `${server.issuer}/nowhere?ui_locales=${evil}&error=${evil}`,
    ];
    for (const url of urls) {
      const response = await page.goto(url);
      expect(response?.status(), `for ${url}`).toBeOneOf([400, 404]);
      await expectText(page);
      expect(await page.content()).not.toContain('canary');
    }
    expect(alarms).toEqual([]);
    await page.context().close();
  });

  it('in an answer that the browser posts to the client', async () => {
    const { page, alarms } = await watchedPage();
    await page.goto(authorizationUrl({ response_mode: 'form_post', prompt: 'none' }));
    await page.waitForURL(/hostile-client/);
    const form = browsing.arrivals.at(-1)?.parameters ?? new URLSearchParams();
    expect(form.get('state')).toBe(canary('state'));
    expect(form.get('error')).toBe('login_required');
    expect(alarms).toEqual([]);
    await page.context().close();
  });
});

describe('No address with a script in it is registered', () => {
  const registered = {
    client_id: 'x',
    redirect_uris: ['https://x.example.com/'],
    token_endpoint_auth_method: 'none',
  };

  it.each([
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    'java\nscript:alert(1)',
    ' javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'blob:https://x.example.com/1',
    'file:///etc/passwd',
    'about:blank',
    'http://x.example.com/',
  ])('%j', (uri) => {
    for (const name of ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'jwks_uri']) {
      expect(() => parseClientMetadata({ ...registered, [name]: uri }), `for ${name}`).toThrow();
    }
    for (const name of ['redirect_uris', 'post_logout_redirect_uris']) {
      expect(() => parseClientMetadata({ ...registered, [name]: [uri] }), `for ${name}`).toThrow();
    }
  });
});
