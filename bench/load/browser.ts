import type { Answer, Connection } from './connection.ts';

/** A browser without script, as fast as one can be: cookies by name, redirects, forms of our own pages. */
export interface Browser {
  /** Opens an authorization URL, logs in and allows where asked, and gives the redirect to the client. */
  authorize(path: string): Promise<URL>;
}

interface BrowserOptions {
  connection: Connection;
  /** The issuer. */
  origin: string;
  customer: { username: string; password: string };
}

interface Page {
  path: string;
  html: string;
}

/** A browser with no cookies yet. */
export function createBrowser({ connection, origin, customer }: BrowserOptions): Browser {
  const cookies = new Map<string, string>();

  function headers(): Record<string, string> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    return { accept: 'text/html', ...(cookie === '' ? {} : { cookie }) };
  }

  async function follow(path: string, answer: Answer): Promise<Page | URL> {
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) keepCookie(cookies, line);
    const { location } = answer.headers;
    if (typeof location !== 'string') return { path, html: answer.text };
    const target = new URL(location, origin);
    if (target.origin !== origin) return target;
    return open(target.pathname + target.search);
  }

  async function open(path: string): Promise<Page | URL> {
    return follow(path, await connection.get(path, headers()));
  }

  async function submit({ html, path }: Page, fields: Record<string, string>): Promise<Page | URL> {
    const action = /<form[^>]*\saction="([^"]+)"/.exec(html)?.[1];
    const csrf = /name="csrf" value="([^"]*)"/.exec(html)?.[1];
    if (action === undefined || csrf === undefined) throw new Error(`no form at ${path}: ${html}`);
    const form = { csrf, ...fields };
    return follow(action, await connection.post(action, form, { ...headers(), origin }));
  }

  return {
    async authorize(path) {
      let page = await open(path);
      if (!(page instanceof URL) && page.html.includes('name="password"')) {
        page = await submit(page, { ...customer, action: 'login' });
        if (!(page instanceof URL) && page.html.includes('name="password"')) {
          throw new Error(`the login failed: ${page.html}`);
        }
      }
      if (!(page instanceof URL)) page = await submit(page, { decision: 'allow' });
      if (page instanceof URL) return page;
      throw new Error(`no redirect to the client but ${page.html}`);
    },
  };
}

function keepCookie(cookies: Map<string, string>, line: string): void {
  const pair = line.split(';', 1)[0] ?? '';
  const end = pair.indexOf('=');
  const [name, value] = [pair.slice(0, end), pair.slice(end + 1)];
  if (value === '') cookies.delete(name);
  else cookies.set(name, value);
}
