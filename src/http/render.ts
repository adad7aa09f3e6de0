import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { Eta } from 'eta';

import { Problem } from '../problem.ts';
import type { Locale, Locales, TextKey, TextValues } from './locale.ts';
import type { PageData, PageName } from './page-data.ts';
import type { ViewScope } from './page-view.ts';
import { pageViews } from './page-views.ts';
import { isOwnPath, linkable } from './safe-url.ts';

/** The bank's own name and looks. */
export interface Brand {
  name: string;
  /** A path on our own origin, as the content security policy demands. */
  logoUrl?: string | undefined;
  /** A path on our own origin: a stylesheet that sets the CSS variables anew. */
  themeUrl?: string | undefined;
  /** Where customers find help: http(s). */
  helpUrl?: string | undefined;
  /** Where a customer who has forgotten the password goes; `helpUrl` when it is not given. */
  passwordHelpUrl?: string | undefined;
}

export interface RenderOptions {
  locale: Locale;
  /** The address of this same page in another language; without it no languages are offered. */
  languageUrl?: ((tag: string) => string) | undefined;
}

export interface Renderer {
  /** A whole HTML document. Every value is escaped, except the logout form of oidc-provider. */
  render<P extends PageName>(page: P, data: PageData[P], options: RenderOptions): string;
}

export interface RendererOptions {
  viewsDirectory: string;
  locales: Pick<Locales, 'available'>;
  brand: Brand;
}

function checkBrand({ logoUrl, themeUrl, helpUrl, passwordHelpUrl }: Brand): void {
  for (const url of [logoUrl, themeUrl]) {
    if (url !== undefined && !isOwnPath(url)) {
      throw new Problem('configuration_invalid', { detail: `${url} is not a path on our origin` });
    }
  }
  for (const url of [helpUrl, passwordHelpUrl]) {
    if (url !== undefined && linkable(url) === undefined) {
      throw new Problem('configuration_invalid', { detail: `${url} is not a web address` });
    }
  }
}

/** Compiles every template now, so that a broken one stops the start and not a customer. */
function compileTemplates(directory: string): Eta {
  const eta = new Eta({ views: directory, cache: true, autoEscape: true });
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.eta')) continue;
    const filepath = path.join(directory, name);
    eta.templatesSync.define(filepath, eta.compile(readFileSync(filepath, 'utf8'), { filepath }));
  }
  return eta;
}

function scopeFor(locale: Locale, brand: Brand): ViewScope {
  const text = (key: TextKey, values?: TextValues): string =>
    locale.text(key, { bank: brand.name, ...values });
  return { locale, text };
}

/**
 * Renders the hosted pages from `<viewsDirectory>/<page>.eta`. Throws at once when a template does
 * not compile or the brand points to another origin.
 */
export function createRenderer({ viewsDirectory, locales, brand }: RendererOptions): Renderer {
  checkBrand(brand);
  const eta = compileTemplates(viewsDirectory);
  return {
    render(page, data, { locale, languageUrl }) {
      const scope = scopeFor(locale, brand);
      const languages = locales.available.map(({ tag, name }) => ({
        tag,
        name,
        isCurrent: tag === locale.tag,
        url: languageUrl?.(tag),
      }));
      return eta.render(page, {
        ...scope,
        brand,
        languages: languageUrl === undefined ? [] : languages,
        problems: [],
        ...pageViews[page](data, scope),
      });
    },
  };
}
