import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { devices, overview, pageOf } from '../support/account-pages.ts';
import { startBrowsing } from '../support/browsing.ts';
import type { Browsing, Visit } from '../support/browsing.ts';
import {
  intentRequest,
  lodgeAccess,
  lodgePayment,
  startConsentServer,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { scopeRequest } from '../support/grants.ts';
import { expectSoundPage, heading } from '../support/hosted-pages.ts';
import { clippedParts, focusedText, focusOutline, smallTargets } from '../support/page-measures.ts';

let world: ConsentServer;
let browsing: Browsing;
/** A consent for accounts, which no test ends, and one for a payment. */
let shared: string;
let paid: string;
/** Where the access can be ended that was given without a consent. */
let app: string;

beforeAll(async () => {
  world = await startConsentServer();
  browsing = await startBrowsing(world.server);
  shared = await authorised();
  paid = await authorised('payments');
  app = await allowedApp();
});

afterAll(async () => {
  await browsing.close();
  await world.server.stop();
});

async function authorised(scope: 'accounts' | 'payments' = 'accounts'): Promise<string> {
  const { server, tpp } = world;
  const id = scope === 'accounts' ? await lodgeAccess(tpp) : await lodgePayment(tpp);
  const visit = await browsing.visit();
  await visit.page.goto((await intentRequest(tpp, id, { scope: `openid ${scope}` })).url);
  await signIn(visit);
  await visit.page.locator('input[id="account-0"]').check();
  await visit.page.locator('button[value="allow"]').click();
  await visit.page.waitForURL('https://*.example.com/**');
  expect(visit.complaints).toEqual([]);
  expect(server.customer.id).not.toBe('');
  return id;
}

/** Allows what no consent stands for, and gives the page on which that can be ended. */
async function allowedApp(): Promise<string> {
  const visit = await browsing.visit();
  const { page } = visit;
  await page.goto((await scopeRequest(world.tpp, { scope: 'openid profile accounts' })).url);
  await signIn(visit);
  await page.locator('button[value="allow"]').click();
  await page.waitForURL('https://*.example.com/**');
  await page.goto(world.server.issuer + overview);
  const link = page.getByRole('link', { name: 'Stop access: Example Money' });
  const path = (await link.getAttribute('href')) ?? expect.unreachable();
  await visit.context.close();
  return path;
}

async function signIn({ page }: Visit): Promise<void> {
  const { username, password } = world.server.customer;
  await page.locator('#username').fill(username);
  await page.locator('#password').fill(password);
  await onTo({ page }, () => page.locator('button[value="login"]').click());
}

/** Does what leads to another page, and waits until that is there. */
async function onTo({ page }: Pick<Visit, 'page'>, act: () => Promise<unknown>): Promise<void> {
  await Promise.all([page.waitForEvent('load'), act()]);
}

/** A browser that is signed in and stands on `path`. */
async function visitTo(path: string, options = {}): Promise<Visit> {
  const visit = await browsing.visit(options);
  await visit.page.goto(world.server.issuer + path);
  await signIn(visit);
  await visit.page.waitForURL(world.server.issuer + path);
  return visit;
}

const everyPage = () => [
  overview,
  ...[pageOf(shared), pageOf(shared, '/change'), pageOf(shared, '/withdraw'), pageOf(paid)],
  ...[app, devices, '/account/sessions/others/end'],
];

describe.each([
  { language: 'en-GB', colorScheme: 'light', width: 360 },
  { language: 'de-DE', colorScheme: 'dark', width: 1280 },
] as const)('In $language, $colorScheme, at $width px', ({ language, colorScheme, width }) => {
  it('each page is accessible, fits, and keeps to its policy', async () => {
    const visit = await visitTo(overview, {
      ...{ locale: language, colorScheme, viewport: { width, height: 800 } },
    });
    const { page } = visit;
    for (const path of everyPage()) {
      await page.goto(world.server.issuer + path);
      expect(await page.locator('html').getAttribute('lang')).toBe(language.slice(0, 2));
      await expectSoundPage(visit);
      const [clipped, small] = [await clippedParts(page), await smallTargets(page)];
      expect.soft({ path, clipped, small }).toEqual({ path, clipped: [], small: [] });
    }
    await visit.context.close();
  });
});

it('the language that is chosen stays, from page to page', async () => {
  const visit = await visitTo(overview);
  const { page } = visit;
  await page.getByRole('link', { name: 'Deutsch' }).click();
  await page.getByRole('link', { name: 'Geräte' }).click();
  expect(await heading(page)).toBe('Wo Sie angemeldet sind');
  await page.getByRole('link', { name: 'Freigaben' }).click();
  await page.getByRole('link', { name: 'Example Money' }).first().click();
  expect(await heading(page)).toBe('Zugriff von Example Money');
  await visit.context.close();
});

describe.each([true, false])('With script %s', (javaScriptEnabled) => {
  it('a customer changes a consent, is told what is wrong, and stops it, by keyboard alone', async () => {
    const id = await authorised();
    const visit = await visitTo(pageOf(id), { javaScriptEnabled });
    const { page } = visit;
    const press = async (name: string) => {
      await tabTo(visit, name);
      expect(await focusOutline(page)).toBe('solid 3px');
      await onTo(visit, () => page.keyboard.press('Enter'));
    };
    await press('Change accounts or end date');
    await page.locator('#account-0').focus();
    await page.keyboard.press('Space');
    await press('Save');
    await page.locator('.problems:focus').waitFor();
    expect(await page.locator('.problems').innerText()).toContain('Choose at least one account');
    await page.locator('#account-1').focus();
    await page.keyboard.press('Space');
    await press('Save');
    expect(await page.getByRole('status').innerText()).toBe('Your changes are saved.');
    expect(await page.locator('main').innerText()).toContain('Savings');
    await press('Stop sharing');
    expect(await heading(page)).toBe('Stop sharing with Example Money?');
    await press('Stop sharing');
    expect(await page.getByRole('status').innerText()).toBe(
      'It has ended. Nothing is shared any more.',
    );
    await page.goBack();
    await page.reload(); // the question again: it leads to what has happened
    expect(page.url()).toBe(world.server.issuer + pageOf(id));
    expect(visit.complaints).toEqual([]);
    await visit.context.close();
  });

  it('a customer stops an app that they allowed without a consent, by keyboard alone', async () => {
    const path = await allowedApp();
    const visit = await visitTo(overview, { javaScriptEnabled });
    const { page } = visit;
    await tabTo(visit, 'Stop access');
    await onTo(visit, () => page.keyboard.press('Enter'));
    expect(await heading(page)).toBe('Stop the access of Example Money?');
    expect(page.url()).toBe(world.server.issuer + path);
    await tabTo(visit, 'Stop access');
    await onTo(visit, () => page.keyboard.press('Enter'));
    expect(await page.getByRole('status').innerText()).toBe('That app no longer has this access.');
    expect(await page.getByText('Other apps with access').count()).toBe(0);
    expect(visit.complaints).toEqual([]);
    await visit.context.close();
    app = await allowedApp();
  });

  it('a customer signs out another device, which then has to sign in', async () => {
    const other = await visitTo(devices, { javaScriptEnabled });
    const visit = await visitTo(devices, { javaScriptEnabled });
    const { page } = visit;
    expect(await page.locator('.item').first().innerText()).toMatch(
      /^Chrome on Linux\s+This device/,
    );
    await onTo(visit, () => page.getByRole('link', { name: 'Sign out all other devices' }).click());
    await onTo(visit, () =>
      page.getByRole('button', { name: 'Sign out all other devices' }).click(),
    );
    expect(await page.locator('.item').count()).toBe(1);
    await other.page.goto(world.server.issuer + overview);
    expect(await heading(other.page)).toBe('Sign in to Countersign Bank');
    await onTo(visit, () => page.getByRole('link', { name: 'Sign out' }).click());
    await onTo(visit, () => page.getByRole('button', { name: 'Sign out' }).click());
    expect(await heading(page)).toBe('You are signed out');
    await page.goto(world.server.issuer + overview);
    expect(await heading(page)).toBe('Sign in to Countersign Bank');
    await Promise.all([visit, other].map(({ context }) => context.close()));
  });
});

/** Presses Tab until what has the focus reads `name`. */
async function tabTo({ page }: Visit, name: string): Promise<void> {
  for (let stops = 0; stops < 40; stops += 1) {
    await page.keyboard.press('Tab');
    if ((await focusedText(page)) === name) return;
  }
  expect.unreachable(`${name} can not be reached`);
}
