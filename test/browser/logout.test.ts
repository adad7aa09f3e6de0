import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContextOptions } from 'playwright-core';
import type { Visit } from '../support/browsing.ts';
import {
  choice,
  expectSoundPage,
  heading,
  reachConsent,
  startHostedPages,
} from '../support/hosted-pages.ts';
import type { HostedPages } from '../support/hosted-pages.ts';

const after = 'https://web.example.com/logged-out';
let hosted: HostedPages;

beforeAll(async () => {
  hosted = await startHostedPages();
});

afterAll(async () => {
  await hosted.close();
});

const browsers = [
  { name: 'with script', options: {} },
  { name: 'without script', options: { javaScriptEnabled: false } },
];

function logoutUrl(parameters: Record<string, string>): string {
  return openid.buildEndSessionUrl(hosted.web, parameters).href;
}

/** A browser in which a customer has signed in at the client, with the ID token that the client got. */
async function signedIn(options: BrowserContextOptions = {}) {
  const visit = await hosted.visit(options);
  const request = await hosted.request();
  await reachConsent(visit, request, await hosted.newCustomer());
  await choice(visit.page, 'decision', 'allow').click();
  const { url } = await hosted.arrivalOf(visit, request);
  const tokens = await openid.authorizationCodeGrant(hosted.web, url, request.checks);
  return { visit, idToken: tokens.id_token ?? expect.unreachable() };
}

/** Whether the next authorization request asks for a login. */
async function isAskedToSignIn(visit: Visit): Promise<boolean> {
  await visit.page.goto((await hosted.request()).url);
  return (await visit.page.locator('#password').count()) === 1;
}

async function arriveAfterLogout({ page }: Visit, state: string): Promise<void> {
  await page.waitForURL(`${after}?state=${state}`);
  const arrived = hosted.arrivals.filter(({ parameters }) => parameters.get('state') === state);
  expect(arrived).toHaveLength(1);
}

function stay({ page }: Visit) {
  return page.getByRole('button', { name: 'Stay signed in' });
}

describe.each(browsers)('A customer $name', ({ name, options }) => {
  const kind = name.replace(' ', '-');

  it('signs out and goes back to the app', async () => {
    const { visit, idToken } = await signedIn(options);
    const state = `out-${kind}`;
    const parameters = { id_token_hint: idToken, post_logout_redirect_uri: after, state };
    await visit.page.goto(logoutUrl(parameters));
    expect(await heading(visit.page)).toBe('Sign out of Countersign Bank?');
    expect(await visit.page.locator('main').innerText()).toContain('Example Web asks');
    await choice(visit.page, 'logout', 'yes').click();
    await arriveAfterLogout(visit, state);
    expect(await isAskedToSignIn(visit)).toBe(true);
    expect(visit.complaints).toEqual([]);
  });

  it('signs out where no app asks', async () => {
    const { visit } = await signedIn(options);
    await visit.page.goto(`${hosted.server.issuer}/logout`);
    await choice(visit.page, 'logout', 'yes').click();
    await visit.page.waitForURL('**/logout/success**');
    expect(await heading(visit.page)).toBe('You are signed out');
    expect(await isAskedToSignIn(visit)).toBe(true);
    expect(visit.complaints).toEqual([]);
  });

  it.each([{}, { client_id: 'web' }])('stays signed in and is told so: %o', async (parameters) => {
    const { visit } = await signedIn(options);
    const query = new URLSearchParams(parameters).toString();
    await visit.page.goto(`${hosted.server.issuer}/logout?${query}`);
    await stay(visit).click();
    await visit.page.waitForURL('**/logout/success**');
    expect(await heading(visit.page)).toBe('You are still signed in');
    expect(await isAskedToSignIn(visit)).toBe(false);
    expect(visit.complaints).toEqual([]);
  });

  it('stays signed in and goes back to the app', async () => {
    const { visit, idToken } = await signedIn(options);
    const state = `stay-${kind}`;
    const parameters = { id_token_hint: idToken, post_logout_redirect_uri: after, state };
    await visit.page.goto(logoutUrl(parameters));
    await stay(visit).click();
    await arriveAfterLogout(visit, state);
    expect(await isAskedToSignIn(visit)).toBe(false);
    expect(visit.complaints).toEqual([]);
  });

  it('who is not signed in goes back to the app', async () => {
    const visit = await hosted.visit(options);
    const state = `nobody-${kind}`;
    const url = logoutUrl({ post_logout_redirect_uri: after, state });
    await visit.page.goto(url).catch(() => undefined); // the form may replace it while it loads
    if ('javaScriptEnabled' in options) await visit.page.locator('main form button').click();
    await arriveAfterLogout(visit, state);
    expect(visit.complaints).toEqual([]);
  });
});

describe('The logout pages', () => {
  it.each(['light', 'dark'] as const)('meet WCAG 2.2 AA, %s', async (colorScheme) => {
    const { visit } = await signedIn({ colorScheme });
    const url = `${hosted.server.issuer}/logout?client_id=web`;
    await visit.page.goto(url);
    await expectSoundPage(visit);
    await stay(visit).click();
    await visit.page.waitForURL('**/logout/success**');
    await expectSoundPage(visit);
    await visit.page.goto(url);
    await choice(visit.page, 'logout', 'yes').click();
    await visit.page.waitForURL('**/logout/success**');
    await expectSoundPage(visit);
  });

  it('are not stored', async () => {
    const { visit } = await signedIn();
    await visit.page.goto(`${hosted.server.issuer}/logout`);
    await choice(visit.page, 'logout', 'yes').click();
    await visit.page.waitForURL('**/logout/success**');
    const answers = visit.documents.filter((response) => response.url().includes('/logout'));
    expect(answers.length).toBeGreaterThanOrEqual(3);
    for (const response of answers) {
      expect(response.headers()['cache-control']).toContain('no-store');
    }
  });
});

describe('A logout request', () => {
  it.each([
    ['of an unknown client', { client_id: 'nobody' }],
    [
      'to an address that is not registered',
      { post_logout_redirect_uri: 'https://web.example.com/x' },
    ],
    ['with an ID token that is none', { id_token_hint: 'e30.e30.e30' }],
  ])('%s is refused on a page, and nobody is signed out', async (_, parameters) => {
    const { visit } = await signedIn();
    const response = await visit.page.goto(logoutUrl(parameters));
    expect(response?.status()).toBe(400);
    expect(await heading(visit.page)).toBe('We can’t carry on with this request');
    expect(await visit.page.content()).not.toContain('example.com');
    await expectSoundPage(visit);
    expect(await isAskedToSignIn(visit)).toBe(false);
  });

  it('whose page was left open while another tab signed out gets a page that blames nobody', async () => {
    const { visit } = await signedIn();
    const second = { ...visit, page: await visit.context.newPage() };
    await second.page.goto(`${hosted.server.issuer}/logout`);
    await visit.page.goto(`${hosted.server.issuer}/logout`);
    await choice(visit.page, 'logout', 'yes').click();
    await visit.page.waitForURL('**/logout/success**');
    await choice(second.page, 'logout', 'yes').click();
    await second.page.waitForURL('**/logout/confirm');
    expect(await heading(second.page)).toBe('This page is too old');
    await expectSoundPage(second);
  });
});
