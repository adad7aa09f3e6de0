import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text as readText } from 'node:stream/consumers';

import Koa from 'koa';

import { createAssets } from '../../src/http/assets.ts';
import { createCsrf, rejectCrossSite } from '../../src/http/csrf.ts';
import { pageHeaders, securityHeaders } from '../../src/http/headers.ts';
import { createLocales } from '../../src/http/locale.ts';
import { createRenderer } from '../../src/http/render.ts';
import { longName, pageFixtures } from './page-fixtures.ts';

const root = path.join(import.meta.dirname, '..', '..');
export const viewsDirectory = path.join(root, 'views');
export const localesDirectory = path.join(viewsDirectory, 'locales');

/** What a form sent, as the server saw it. */
export interface Submission {
  path: string;
  fields: Record<string, string>;
}

export interface PageSite {
  origin: string;
  submissions: Submission[];
  close(): Promise<void>;
}

export interface PageSiteOptions {
  callbackOrigin?: string;
  /** Whether the pages' policy names the callback's origin, as it must. */
  namesCallback?: boolean;
}

/** The locales plus Arabic in name only: English words, written from right to left. */
function rightToLeftLocales(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'countersign-locales-'));
  for (const name of readdirSync(localesDirectory)) {
    writeFileSync(path.join(directory, name), readFileSync(path.join(localesDirectory, name)));
  }
  const english = JSON.parse(
    readFileSync(path.join(localesDirectory, 'en.json'), 'utf8'),
  ) as Record<string, string>;
  const meta = { 'locale.name': 'العربية', 'locale.direction': 'rtl', 'locale.format': 'ar' };
  writeFileSync(path.join(directory, 'ar.json'), JSON.stringify({ ...english, ...meta }));
  return directory;
}

/**
 * Serves the fixtures at `/<name>?ui_locales=…` with the real headers, assets and CSRF protection.
 * `?bank=long` gives the bank its longest name. Forms are answered by a redirect to
 * `callbackOrigin`, as the authorization endpoint does.
 */
export async function startPageSite(options: PageSiteOptions = {}): Promise<PageSite> {
  const directory = rightToLeftLocales();
  const locales = createLocales(directory);
  const brand = { name: 'Example Bank', helpUrl: 'https://bank.example/help' };
  const renderer = createRenderer({ viewsDirectory, locales, brand });
  const longBrand = { ...brand, name: `${longName} Bank` };
  const longRenderer = createRenderer({ viewsDirectory, locales, brand: longBrand });
  const csrf = createCsrf(Buffer.alloc(32, 7));
  const binding = 'the browser';
  const submissions: Submission[] = [];
  const app = new Koa();
  let origin = '';

  app.use(securityHeaders({ hstsMaxAgeSeconds: 0 }));
  app.use(createAssets({ directory: path.join(viewsDirectory, 'assets') }).middleware);
  app.use(async (ctx, next) => {
    if (ctx.method !== 'POST') {
      await next();
      return;
    }
    const form = new URLSearchParams(await readText(ctx.req));
    rejectCrossSite(ctx, origin);
    if (!form.has('xsrf')) csrf.verify(binding, form.get('csrf'));
    submissions.push({ path: ctx.path, fields: Object.fromEntries(form) });
    ctx.status = 303;
    ctx.redirect(`${options.callbackOrigin ?? origin}/logged-out`);
  });
  app.use((ctx) => {
    const wanted = pageFixtures.find(({ name }) => `/${name}` === ctx.path);
    if (wanted === undefined) return;
    const { callbackOrigin, namesCallback = true } = options;
    const named = namesCallback ? [callbackOrigin, ctx.query['form_action']] : [];
    pageHeaders(ctx, { formActions: named.filter((source) => typeof source === 'string') });
    const locale = locales.chooseLocale({ uiLocales: String(ctx.query['ui_locales'] ?? '') });
    const html = wanted.render(ctx.query['bank'] === 'long' ? longRenderer : renderer, {
      locale,
      languageUrl: (tag) => `${ctx.path}?ui_locales=${tag}`,
    });
    ctx.body = html.replaceAll('b3BlbiBzZXNhbWU', csrf.token(binding));
  });

  const handle = app.callback();
  const server = createServer((request, response) => {
    void handle(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    origin,
    submissions,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      rmSync(directory, { recursive: true });
    },
  };
}
