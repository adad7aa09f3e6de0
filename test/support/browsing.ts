import { createHash, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import { AxeBuilder } from '@axe-core/playwright';
import type { BrowserContext, BrowserContextOptions, Page, Response } from 'playwright-core';
import { launchBrowser } from './browser.ts';
import { serverCertificate } from './certificates.ts';
import type { AuthorizationServer } from './server.ts';
import { createTestServers } from './tls-servers.ts';

/** What arrived at a client's own site: parameters of the query or of a form. */
export interface Arrival {
  url: URL;
  parameters: URLSearchParams;
}

/** One customer at one browser, with cookies of their own. */
export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What the console said about content security policies, and scripts that failed; should stay empty. */
  complaints: string[];
  /** Responses with a page, redirects included, the oldest first. */
  documents: Response[];
}

/** Chromium in which `*.example.com` is a client's site on this machine. */
export interface Browsing {
  visit(options?: BrowserContextOptions): Promise<Visit>;
  /** Everything that clients' sites were sent, the oldest first. */
  arrivals: Arrival[];
  close(): Promise<void>;
}

/** Starts Chromium, which trusts the certificate of `server` and of the clients' site as if a known CA had issued them. */
export async function startBrowsing(server: AuthorizationServer): Promise<Browsing> {
  const { certificates } = server;
  const certificate = await serverCertificate(certificates.authority, ['*.example.com']);
  const arrivals: Arrival[] = [];
  const sites = createTestServers();
  const port = await sites.listen(
    createServer(
      { cert: certificate.certificatePem, key: certificate.privateKeyPem },
      (request, response) => {
        let body = '';
        request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        request.on('end', () => {
          const url = new URL(request.url ?? '', `https://${request.headers.host ?? ''}`);
          const parameters =
            request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
          if (url.pathname !== '/favicon.ico') arrivals.push({ url, parameters });
          response.setHeader('content-type', 'text/html');
          response.end('<!doctype html><title>The app</title><h1>Back at the app</h1>');
        });
      },
    ),
  );
  const trusted = [certificates.server.certificatePem, certificate.certificatePem].map(keyDigest);
  const browser = await launchBrowser([
    `--host-resolver-rules=MAP *.example.com 127.0.0.1:${String(port)}`,
    `--ignore-certificate-errors-spki-list=${trusted.join(',')}`,
  ]);
  return {
    arrivals,
    async visit(options = {}) {
      const context = await browser.newContext({ locale: 'en-GB', ...options });
      // A page that never comes is told by what the test was waiting for.
      context.setDefaultTimeout(10_000);
      const visit: Visit = {
        context,
        page: await context.newPage(),
        complaints: [],
        documents: [],
      };
      observe(visit);
      return visit;
    },
    async close() {
      await browser.close();
      await sites.close();
    },
  };
}

function keyDigest(certificatePem: string): string {
  const { publicKey } = new X509Certificate(certificatePem);
  const key = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

function observe({ context, complaints, documents }: Visit): void {
  context.on('console', (message) => {
    if (/content security policy/i.test(message.text())) complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(error.error().message));
  context.on('response', (response) => {
    if (response.request().isNavigationRequest()) documents.push(response);
  });
}

/** What axe finds wrong on the page as it is: nothing, if it meets WCAG 2.2 AA and axe's own best practices. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
