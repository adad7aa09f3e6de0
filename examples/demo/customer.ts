import type { Page } from 'playwright-core';
import { launchBrowser } from '../../tools/browser.ts';
import type { ClientCertificate } from '../resource-server/trusting-fetch.ts';
import { listenForCallback } from './callback-listener.ts';
import type { CallbackListener } from './callback-listener.ts';
import { expectTold, NotAsTold } from './narrator.ts';
import type { See } from './narrator.ts';

/** A customer at a browser. */
export interface Customer {
  /** Opens an authorization URL, logs in when asked, consents when asked, and comes back to the TPP. */
  authorize(see: See, url: URL): Promise<URL>;
}

/** What a customer comes with. */
export interface CustomerOptions {
  credentials: { username: string; password: string };
  redirectUri: string;
  /** Of the TPP's website. */
  tls: ClientCertificate;
  cleanup: AsyncDisposableStack;
}

const pageTimeoutMs = 20_000;

/** A customer with a fresh headless Chromium. */
export async function sitDown(options: CustomerOptions): Promise<Customer> {
  const { credentials, redirectUri, tls, cleanup } = options;
  const callback = await listenForCallback(redirectUri, tls);
  cleanup.defer(() => callback.stop());
  const { host } = new URL(redirectUri);
  // Whatever else uses the redirect URI's port on this machine stays undisturbed.
  const there = `MAP ${host} 127.0.0.1:${String(callback.port)}`;
  const browser = await launchBrowser([`--host-resolver-rules=${there}`]);
  cleanup.defer(() => browser.close());
  // Chromium knows the system's authorities only, and nobody should install ours there.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB' });
  context.setDefaultTimeout(pageTimeoutMs);
  const page = await context.newPage();
  return { authorize: (see, url) => authorize(see, { page, url, callback, credentials }) };
}

interface Visit {
  page: Page;
  url: URL;
  callback: Pick<CallbackListener, 'next'>;
  credentials: CustomerOptions['credentials'];
}

async function authorize(see: See, visit: Visit): Promise<URL> {
  const { page, url, callback, credentials } = visit;
  const back = callback.next();
  await page.goto(url.href);
  if ((await page.locator('input[name=password]').count()) > 0) {
    await tellHeading(see, page);
    await page.locator('input[name=username]').fill(credentials.username);
    await page.locator('input[name=password]').fill(credentials.password);
    await press(page, 'action', 'login');
    see('logged in as', credentials.username);
  }
  if ((await page.locator('button[name=decision]').count()) > 0) {
    await tellHeading(see, page);
    for (const sentence of await page.locator('main li').allInnerTexts()) see(`- ${sentence}`);
    await press(page, 'decision', 'allow');
    see('allowed');
  }
  return backFrom(page, back);
}

async function tellHeading(see: See, page: Page): Promise<void> {
  see('page', (await page.locator('h1').innerText()).replaceAll(/\s+/g, ' '));
}

/** Presses a button and waits for the page that it leads to. */
async function press(page: Page, name: string, value: string): Promise<void> {
  await Promise.all([
    page.waitForEvent('domcontentloaded'),
    page.locator(`button[name=${name}][value=${value}]`).click(),
  ]);
}

/** The redirect has arrived before its page has: a page of the server means that there was none. */
async function backFrom(page: Page, back: Promise<URL>): Promise<URL> {
  const title = await page.title();
  const url = await Promise.race([back, Promise.resolve(undefined)]);
  if (url === undefined) throw new NotAsTold(`the browser stays at the page "${title}"`);
  const error = url.searchParams.get('error');
  expectTold(error === null, `the server sent the customer back with ${String(error)}`);
  return url;
}
