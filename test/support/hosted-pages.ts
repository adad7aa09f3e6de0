import { randomBytes } from 'node:crypto';
import type * as openid from 'openid-client';
import type { Page, Response } from 'playwright-core';
import { expect } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { accessibilityProblems, startBrowsing } from './browsing.ts';
import type { Arrival, Browsing, Visit } from './browsing.ts';
import { callbacks, discoverWeb } from './journey.ts';
import { authorizationRequest } from './openid.ts';
import { startAuthorizationServer } from './server.ts';
import type { AuthorizationServer, ServerOptions } from './server.ts';

/** What a customer signs in with. */
export interface Credentials {
  username: string;
  password: string;
}

/** An authorization request of the client "web", and what it checks the answer against. */
export type Request = Awaited<ReturnType<typeof authorizationRequest>>;

/** The assembled server, real Chromium, and the client "web" between them. */
export interface HostedPages extends Browsing {
  server: AuthorizationServer;
  web: openid.Configuration;
  request(parameters?: Record<string, string>): Promise<Request>;
  /** A customer whom no other test makes mistakes for. */
  newCustomer(): Promise<Credentials & { id: string; name: string }>;
  /** What the client was sent for this request; waits until the browser is there. */
  arrivalOf(visit: Visit, request: Request): Promise<Arrival>;
  /** All that the client was ever sent for this request. */
  arrivalsOf(request: Request): Arrival[];
}

/** Starts both. */
export async function startHostedPages(options: ServerOptions = {}): Promise<HostedPages> {
  const server = await startAuthorizationServer(options);
  const browsing = await startBrowsing(server);
  const web = await discoverWeb(server);
  const arrivalsOf = ({ state }: Request) =>
    browsing.arrivals.filter(({ parameters }) => parameters.get('state') === state);
  return {
    ...browsing,
    server,
    web,
    arrivalsOf,
    request: (parameters = {}) =>
      authorizationRequest(web, {
        redirect_uri: callbacks.web,
        scope: 'openid profile accounts',
        ...parameters,
      }),
    async newCustomer() {
      const username = `customer-${randomBytes(6).toString('hex')}`;
      const password = randomBytes(16).toString('base64url');
      const profile = { username, name: `Robin ${username}` };
      const { id } = await addCustomer(
        { profile, password },
        { ...server.running.app, clock: systemClock },
      );
      return { id, username, password, name: profile.name };
    },
    async arrivalOf({ page }, request) {
      await page.waitForURL(`${callbacks.web}**`);
      const arrived = arrivalsOf(request);
      expect(arrived).toHaveLength(1);
      return arrived[0] ?? expect.unreachable();
    },
    async close() {
      await browsing.close();
      await server.stop();
    },
  };
}

/** The button of a form by its stable name and value. */
export function choice(page: Page, name: string, value: string) {
  return page.locator(`button[name="${name}"][value="${value}"]`);
}

/** Presses a button that leads to another page of ours, and gives that page's answer. */
export async function press(page: Page, name: string, value: string): Promise<Response> {
  const answer = page.waitForResponse(
    (response) => response.request().isNavigationRequest() && response.status() !== 303,
  );
  await choice(page, name, value).click();
  const response = await answer;
  await page.waitForLoadState('load');
  return response;
}

/** Fills in the login form that is on the page and sends it. */
export async function signIn(page: Page, { username, password }: Credentials): Promise<Response> {
  await page.locator('#username').fill(username);
  await page.locator('#password').fill(password);
  return press(page, 'action', 'login');
}

/** Opens an authorization request and signs in; leaves the customer at the consent page. */
export async function reachConsent(
  visit: Visit,
  { url }: Request,
  credentials: Credentials,
): Promise<void> {
  await visit.page.goto(url);
  await signIn(visit.page, credentials);
  expect(await choice(visit.page, 'decision', 'allow').count()).toBe(1);
}

/** A property of the computed style of the first element that matches. */
export function styleOf(page: Page, selector: string, property: string): Promise<string> {
  const element = `document.querySelector(${JSON.stringify(selector)})`;
  return page.evaluate<string>(
    `getComputedStyle(${element}).getPropertyValue(${JSON.stringify(property)})`,
  );
}

/** The page's question. */
export function heading(page: Page): Promise<string> {
  return page.getByRole('heading', { level: 1 }).innerText();
}

/** Accessible, and nothing in it against its own policy. */
export async function expectSoundPage({ page, complaints }: Visit): Promise<void> {
  expect(await accessibilityProblems(page)).toEqual([]);
  expect(complaints).toEqual([]);
}
