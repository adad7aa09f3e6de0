import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { createCustomerAgent } from '../../support/customer-agent.ts';
import type { CustomerAgent } from '../../support/customer-agent.ts';
import type { AuthorizationServer } from '../../support/server.ts';

/** One answer of a relying party: a page, or where it sends the browser. */
export interface Visit {
  status: number;
  /** The target of a redirect; undefined for a page. */
  location: string | undefined;
  html: string;
}

/** A customer's browser without script that goes to and fro between a relying party and the server. */
export interface Browser {
  /** The same browser on the server's own pages: login, consent, logout. */
  atServer: CustomerAgent;
  /** One request with the browser's cookies; redirects are not followed. */
  visit: (url: string) => Promise<Visit>;
}

/**
 * A new browser, which trusts this authority of the relying party; `localhost` is one host for
 * cookies, whatever the port.
 */
export function openBrowser(server: AuthorizationServer, trusted: IssuedCertificate): Browser {
  const atServer = createCustomerAgent(server);
  const { jar } = atServer;
  const ca = trusted.certificatePem;
  return {
    atServer,
    visit: async (url) => {
      const response = await navigate(url, { ca, cookie: await jar.getCookieString(url) });
      for (const cookie of response.headers['set-cookie'] ?? []) await jar.setCookie(cookie, url);
      const { location } = response.headers;
      return {
        status: response.statusCode ?? 0,
        location: location === undefined ? undefined : new URL(location, url).href,
        html: await textOf(response),
      };
    },
  };
}

/** `fetch` would say `Sec-Fetch-Mode: cors`, and relying parties don't send scripts to the login page. */
function navigate(url: string, { ca, cookie }: { ca: string; cookie: string }) {
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', cookie };
  return new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { ca, headers, agent: false }, resolve).on('error', reject).end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}
