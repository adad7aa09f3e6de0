import { createPasswordHasher } from '../customers/password.ts';
import { createAssets } from '../http/assets.ts';
import { createCsrf } from '../http/csrf.ts';
import { createLocales } from '../http/locale.ts';
import { createPages } from '../http/pages.ts';
import { createRenderer } from '../http/render.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createHostedPages } from '../provider/pages/hosted-pages.ts';
import type { AppSettings } from './settings.ts';

/** Hashes passwords, and counts how long that takes and who waits. */
export function createPasswords({ passwordHash }: AppSettings, metrics: Metrics) {
  return createPasswordHasher(passwordHash, passwordHash, {
    onDuration(seconds) {
      metrics.passwordHashSeconds.observe({}, seconds);
    },
    onPending(count) {
      metrics.passwordHashQueue.set({}, count);
    },
  });
}

/** Everything that a page is made of. */
export function createHosting({ viewsDirectory, brand, cookieKeys }: AppSettings) {
  const { name, helpUrl, ...brandFiles } = brand;
  const locales = createLocales(`${viewsDirectory}/locales`);
  const assets = createAssets({ directory: `${viewsDirectory}/assets`, ...brandFiles });
  const { logoUrl, themeUrl } = assets;
  const renderer = createRenderer({
    viewsDirectory,
    locales,
    brand: { name, helpUrl, logoUrl, themeUrl },
  });
  const pages = createPages(renderer, locales);
  const [formKey = Buffer.alloc(0), ...olderFormKeys] = cookieKeys; // an empty one is refused
  const csrf = createCsrf(formKey, ...olderFormKeys);
  return { assets, pages, hostedPages: createHostedPages(pages), csrf };
}

/** What pages are made of. */
export type Hosting = ReturnType<typeof createHosting>;
