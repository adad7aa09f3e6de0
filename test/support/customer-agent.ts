import { CookieJar } from 'tough-cookie';
import type { AuthorizationServer } from './server.ts';

/** A page or redirect as a browser without script sees it. */
export interface Page {
  url: string;
  status: number;
  headers: Headers;
  html: string;
}

/** A customer's browser without script: cookies, redirects inside the server, forms. */
export interface CustomerAgent {
  jar: CookieJar;
  /** Opens a URL and follows redirects until a page, or a redirect that leaves the server (then `url` is its target). */
  open(url: string, init?: { method: 'POST'; body: URLSearchParams }): Promise<Page>;
  /** Sends the form of a page: its hidden fields and `fields`. */
  submit(page: Page, fields: Record<string, string>): Promise<Page>;
  /** The same browser, cookies as they are now, whose requests reach `at`: another tab, or a second click. */
  fork(at: AuthorizationServer): CustomerAgent;
  /** Logs in and allows, whichever of the two pages come; gives back the redirect to the client. */
  authorize(url: string, credentials?: { username: string; password: string }): Promise<URL>;
}

/** A new browser, with no cookies unless a jar is given. */
export function createCustomerAgent(
  server: Pick<AuthorizationServer, 'issuer' | 'fetch' | 'customer'>,
  jar = new CookieJar(),
): CustomerAgent {
  const fetch = server.fetch();

  async function open(
    url: string,
    init?: { method: 'POST'; body: URLSearchParams },
  ): Promise<Page> {
    const response = await fetch(url, {
      ...init,
      headers: {
        accept: 'text/html',
        cookie: await jar.getCookieString(url),
        ...(init === undefined ? {} : { origin: server.issuer }),
      },
    });
    for (const cookie of response.headers.getSetCookie()) await jar.setCookie(cookie, url);
    const location = response.headers.get('location');
    if (location === null || response.status < 300 || response.status > 399) {
      const { status, headers } = response;
      return { url, status, headers, html: await response.text() };
    }
    await response.text();
    const target = new URL(location, url).href;
    if (new URL(target).origin === server.issuer) return open(target);
    return { url: target, status: response.status, headers: response.headers, html: '' };
  }

  function submit(page: Page, fields: Record<string, string>): Promise<Page> {
    const body = new URLSearchParams({ ...hiddenFields(page.html), ...fields });
    return open(new URL(formAction(page.html), page.url).href, { method: 'POST', body });
  }

  return {
    jar,
    open,
    submit,
    fork(at) {
      const copy = jar.cloneSync();
      if (copy === undefined) throw new Error('the cookies could not be copied');
      return createCustomerAgent(at, copy);
    },
    async authorize(url, credentials = server.customer) {
      const { username, password } = credentials;
      let page = await open(url);
      if (page.html.includes('name="password"')) {
        page = await submit(page, { username, password, action: 'login' });
      }
      if (page.html.includes('value="allow"')) page = await submit(page, { decision: 'allow' });
      if (page.html !== '') throw new Error(`no redirect to the client but ${page.html}`);
      return new URL(page.url);
    },
  };
}

/** Our own pages only, so their fixed shape is enough. */
function formAction(html: string): string {
  const action = /<form[^>]*\saction="([^"]+)"/.exec(html)?.[1];
  if (action === undefined) throw new Error(`no form in ${html}`);
  return action.replaceAll('&amp;', '&');
}

function hiddenFields(html: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [input] of html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    const value = /value="([^"]*)"/.exec(input)?.[1];
    if (name !== undefined && value !== undefined) fields[name] = value;
  }
  return fields;
}
