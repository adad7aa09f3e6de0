import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { send } from './protocol.ts';
import type { Answer } from './protocol.ts';
import type { AuthorizationServer } from './server.ts';

export const overview = '/account/consents';
export const devices = '/account/sessions';

type Host = Pick<AuthorizationServer, 'issuer' | 'fetch' | 'customer'>;

/** The page of a consent. */
export function pageOf(consentId: string, below = ''): string {
  return `${overview}/${consentId.replace('urn:countersign:consent:', '')}${below}`;
}

/** A browser that calls itself `userAgent`. */
export function browserNamed(server: Host, userAgent: string): CustomerAgent {
  const plain = server.fetch();
  const named = ((url: string, init: RequestInit = {}) =>
    plain(url, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), 'user-agent': userAgent },
    })) as typeof fetch;
  const { issuer, customer } = server;
  return createCustomerAgent({ issuer, customer, fetch: () => named });
}

/** A browser that opened one of the account pages and signed in on the way. */
export async function signedIn(
  server: Host,
  { path = overview, agent = createCustomerAgent(server), credentials = server.customer } = {},
): Promise<{ agent: CustomerAgent; page: Page }> {
  const page = await agent.open(server.issuer + path);
  if (!isLogin(page)) return { agent, page };
  const { username, password } = credentials;
  return { agent, page: await agent.submit(page, { username, password, action: 'login' }) };
}

export function isLogin({ html }: Pick<Page, 'html'>): boolean {
  return html.includes('name="password"');
}

/** The page's question. */
export function titleOf({ html }: Pick<Page, 'html'>): string {
  return /<h1>([^<]*)<\/h1>/.exec(html)?.[1] ?? '';
}

/** The links of a page whose address matches. */
export function linksIn({ html }: Page, pattern: RegExp): string[] {
  const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, href = '']) => href);
  return links.filter((href) => pattern.test(href)).map((href) => href.replaceAll('&amp;', '&'));
}

/** The hidden token of the form on a page. */
export function tokenIn({ html }: Pick<Page, 'html'>): string {
  return /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? '';
}

/** One form from this browser, whose answer is not followed. */
export async function sendForm(
  server: Host,
  { jar }: CustomerAgent,
  form: { path: string; fields: Record<string, string>; headers?: Record<string, string> },
): Promise<Answer> {
  const url = server.issuer + form.path;
  return send(server.fetch(), url, {
    method: 'POST',
    body: new URLSearchParams(form.fields),
    headers: {
      accept: 'text/html',
      origin: server.issuer,
      cookie: await jar.getCookieString(url),
      ...form.headers,
    },
  });
}

/** Another customer. */
export async function newCustomer(server: AuthorizationServer) {
  const username = `customer-${randomBytes(6).toString('hex')}`;
  const password = randomBytes(16).toString('base64url');
  const profile = { username, name: `Robin ${username}` };
  const added = await addCustomer(
    { profile, password },
    { ...server.running.app, clock: systemClock },
  );
  return { id: added.id, username, password };
}
