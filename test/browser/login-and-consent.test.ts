import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Visit } from '../support/browsing.ts';
import {
  choice,
  expectSoundPage,
  heading,
  press,
  reachConsent,
  signIn,
  startHostedPages,
  styleOf,
} from '../support/hosted-pages.ts';
import type { HostedPages } from '../support/hosted-pages.ts';
import { callbacks } from '../support/journey.ts';

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

describe.each(browsers)('A customer $name', ({ options }) => {
  it('signs in and allows, and the app can use the code', async () => {
    const visit = await hosted.visit(options);
    const customer = await hosted.newCustomer();
    const request = await hosted.request();
    await visit.page.goto(request.url);
    expect(await heading(visit.page)).toBe('Sign in to Countersign Bank');
    expect(await visit.page.locator('main').innerText()).toContain('Example Web');
    await signIn(visit.page, customer);
    expect(await heading(visit.page)).toBe('Give Example Web access?');
    const text = await visit.page.locator('main').innerText();
    for (const part of ['See your accounts', 'See your name', customer.name, 'web.example.com']) {
      expect(text).toContain(part);
    }
    await choice(visit.page, 'decision', 'allow').click();
    const { url } = await hosted.arrivalOf(visit, request);
    const tokens = await openid.authorizationCodeGrant(hosted.web, url, request.checks);
    expect(decodeJwt(tokens.access_token).sub).toBe(customer.id);
    expect(visit.complaints).toEqual([]);
  });

  it('is sent on by a form where the app asks for one', async () => {
    const visit = await hosted.visit(options);
    const customer = await hosted.newCustomer();
    const request = await hosted.request({ response_mode: 'form_post' });
    await reachConsent(visit, request, customer);
    await choice(visit.page, 'decision', 'allow').click();
    if ('javaScriptEnabled' in options) await visit.page.locator('main form button').click();
    const { url, parameters } = await hosted.arrivalOf(visit, request);
    const form = new Request(url, { method: 'POST', body: parameters });
    const tokens = await openid.authorizationCodeGrant(hosted.web, form, request.checks);
    expect(decodeJwt(tokens.access_token).sub).toBe(customer.id);
    expect(visit.complaints).toEqual([]);
  });

  it('changes to another account and is that one from then on', async () => {
    const visit = await hosted.visit(options);
    const [first, second] = [await hosted.newCustomer(), await hosted.newCustomer()];
    const request = await hosted.request();
    await reachConsent(visit, request, first);
    await press(visit.page, 'decision', 'switch');
    expect(await heading(visit.page)).toBe('Sign in to Countersign Bank');
    await signIn(visit.page, second);
    if ('javaScriptEnabled' in options) await visit.page.locator('main form button').click();
    await choice(visit.page, 'decision', 'allow').waitFor();
    expect(await visit.page.locator('main').innerText()).toContain(second.name);
    await choice(visit.page, 'decision', 'allow').click();
    const { url } = await hosted.arrivalOf(visit, request);
    const tokens = await openid.authorizationCodeGrant(hosted.web, url, request.checks);
    expect(decodeJwt(tokens.access_token).sub).toBe(second.id);
    expect(visit.complaints).toEqual([]);
  });

  it('refuses, and the app hears of it', async () => {
    const visit = await hosted.visit(options);
    const request = await hosted.request();
    await reachConsent(visit, request, await hosted.newCustomer());
    await choice(visit.page, 'decision', 'deny').click();
    const { parameters } = await hosted.arrivalOf(visit, request);
    expect(parameters.get('error')).toBe('access_denied');
    expect(parameters.has('code')).toBe(false);
    expect(visit.complaints).toEqual([]);
  });

  it('cancels at the login, with nothing filled in', async () => {
    const visit = await hosted.visit(options);
    const request = await hosted.request();
    await visit.page.goto(request.url);
    await choice(visit.page, 'action', 'cancel').click();
    const { parameters } = await hosted.arrivalOf(visit, request);
    expect(parameters.get('error')).toBe('access_denied');
    expect(visit.complaints).toEqual([]);
  });

  it('clicks twice and gives one answer', async () => {
    const visit = await hosted.visit(options);
    const request = await hosted.request();
    await visit.page.goto(request.url);
    const { username, password } = await hosted.newCustomer();
    await visit.page.locator('#username').fill(username);
    await visit.page.locator('#password').fill(password);
    await choice(visit.page, 'action', 'login').dblclick();
    await choice(visit.page, 'decision', 'allow').dblclick();
    const { url } = await hosted.arrivalOf(visit, request);
    const tokens = await openid.authorizationCodeGrant(hosted.web, url, request.checks);
    expect(tokens.access_token).not.toBe('');
  });
});

describe('The pages', () => {
  it('meet WCAG 2.2 AA from the login to the app, and lead there by a form as well', async () => {
    const visit = await hosted.visit();
    // Without it the page that sends the form would be gone before it can be looked at.
    await visit.page.route('**/assets/pages.js', (route) => route.abort());
    const request = await hosted.request({ response_mode: 'form_post' });
    await visit.page.goto(request.url);
    await expectSoundPage(visit);
    await signIn(visit.page, await hosted.newCustomer());
    await expectSoundPage(visit);
    await press(visit.page, 'decision', 'allow');
    expect(await heading(visit.page)).toBe('One moment, please');
    await expectSoundPage(visit);
  });

  it('are used by keyboard alone', async () => {
    const visit = await hosted.visit();
    const { page } = visit;
    const customer = await hosted.newCustomer();
    const request = await hosted.request();
    await page.goto(request.url);
    await tabTo(page, '#username');
    await page.keyboard.type(customer.username);
    await tabTo(page, '#password');
    await page.keyboard.type(customer.password);
    await tabTo(page, '[data-reveal]');
    await page.keyboard.press('Space');
    expect(await page.locator('#password').getAttribute('type')).toBe('text');
    await tabTo(page, 'button[value="login"]');
    await page.keyboard.press('Enter');
    await choice(page, 'decision', 'allow').waitFor();
    await tabTo(page, 'button[value="deny"]');
    await page.keyboard.press('Shift+Tab');
    expect(await page.locator(':focus').getAttribute('value')).toBe('allow');
    await page.keyboard.press('Space');
    const { parameters } = await hosted.arrivalOf(visit, request);
    expect(parameters.has('code')).toBe(true);
  });

  it('send an app on the same machine its code', async () => {
    const visit = await hosted.visit();
    const request = await hosted.request({ client_id: 'app', redirect_uri: callbacks.app });
    await reachConsent(visit, request, await hosted.newCustomer());
    // Nothing listens there: that the browser sets out for it is what the policy has to allow.
    const departure = visit.page.waitForRequest((sent) => sent.url().startsWith(callbacks.app));
    await choice(visit.page, 'decision', 'allow').click();
    expect(new URL((await departure).url()).searchParams.has('code')).toBe(true);
    expect(visit.complaints).toEqual([]);
  });
});

/** Goes on by the tab key until `selector` has the focus, and can be seen to have it at every step. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let steps = 0; steps < 15; steps += 1) {
    await page.keyboard.press('Tab');
    expect(await styleOf(page, ':focus', 'outline-style')).toBe('solid');
    if ((await page.locator(`${selector}:focus`).count()) === 1) return;
  }
  throw new Error(`the tab key does not lead to ${selector}`);
}

describe('The language', () => {
  const german = 'Example Web Zugriff geben?';

  async function languages({ page }: Visit) {
    return { lang: await page.locator('html').getAttribute('lang'), text: await heading(page) };
  }

  it('is the browser’s', async () => {
    const visit = await hosted.visit({ locale: 'de-AT' });
    await reachConsent(visit, await hosted.request(), await hosted.newCustomer());
    expect(await languages(visit)).toEqual({ lang: 'de', text: german });
    await expectSoundPage(visit);
  });

  it('is what the app asks for, from the login to the consent', async () => {
    const visit = await hosted.visit({ locale: 'en-GB' });
    const request = await hosted.request({ ui_locales: 'fr de-CH en' });
    await visit.page.goto(request.url);
    expect((await languages(visit)).lang).toBe('de');
    expect(await visit.page.title()).toBe('Bei Countersign Bank anmelden – Countersign Bank');
    await signIn(visit.page, await hosted.newCustomer());
    expect(await languages(visit)).toEqual({ lang: 'de', text: german });
    expect(await visit.page.locator('main').innerText()).toContain('Ihre Konten sehen');
  });

  it.each(browsers)('is what the customer chose by link, $name', async ({ options }) => {
    const visit = await hosted.visit(options);
    const request = await hosted.request({ ui_locales: 'en' });
    await visit.page.goto(request.url);
    await visit.page.getByRole('link', { name: 'Deutsch' }).click();
    await visit.page.waitForURL(/ui_locales=de/);
    const customer = await hosted.newCustomer();
    await signIn(visit.page, { ...customer, password: 'not the right one' });
    expect((await languages(visit)).lang).toBe('de');
    await signIn(visit.page, customer);
    expect(await languages(visit)).toEqual({ lang: 'de', text: german });
    await choice(visit.page, 'decision', 'allow').click();
    await hosted.arrivalOf(visit, request);
    await visit.page.goto((await hosted.request({ prompt: 'login', ui_locales: 'en' })).url);
    expect((await languages(visit)).lang).toBe('de');
  });
});
