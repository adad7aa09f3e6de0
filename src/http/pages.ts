import type Koa from 'koa';
import { pageHeaders } from './headers.ts';
import type { Locale, Locales } from './locale.ts';
import type { PageData, PageName } from './page-data.ts';
import type { Renderer } from './render.ts';

/** A page with its data, and how it is shown. */
export interface Showing<P extends PageName> {
  page: P;
  data: PageData[P];
  status?: number;
  /** Redirect URIs at which a form of this page may end (see headers.ts). */
  formActions?: readonly string[];
  /** `ui_locales` of the authorization request. */
  uiLocales?: string | undefined;
  /** Our path that shows this page by GET; with it the page offers the other languages. */
  languagePath?: string;
}

/** Shows hosted pages in the customer's language. */
export interface Pages {
  show<P extends PageName>(ctx: Koa.Context, showing: Showing<P>): void;
  localeOf(ctx: Koa.Context, uiLocales?: string): Locale;
}

/** Remembers the language that a customer chose, until the browser is closed. */
const languageCookie = '__Host-language';

/** Pages of one renderer. */
export function createPages(renderer: Renderer, locales: Pick<Locales, 'chooseLocale'>): Pages {
  /** What the customer chose goes before what the client asks for, and that before the browser's setting. */
  function localeOf(ctx: Koa.Context, uiLocales?: string): Locale {
    const asked = ctx.query['ui_locales'];
    const chosen = typeof asked === 'string' ? asked : ctx.cookies.get(languageCookie);
    const acceptLanguage = ctx.get('Accept-Language');
    return locales.chooseLocale({ uiLocales: chosen ?? uiLocales, acceptLanguage });
  }

  return {
    localeOf,
    show(ctx, { page, data, languagePath, status = 200, formActions = [], uiLocales }) {
      const locale = localeOf(ctx, uiLocales);
      if (languagePath !== undefined && typeof ctx.query['ui_locales'] === 'string') {
        ctx.cookies.set(languageCookie, locale.tag, { secure: true, sameSite: 'lax', path: '/' });
      }
      pageHeaders(ctx, { formActions });
      ctx.set('Content-Language', locale.tag);
      ctx.vary('Accept-Language');
      ctx.status = status;
      ctx.type = 'html';
      ctx.body = renderer.render(page, data, {
        locale,
        languageUrl:
          languagePath === undefined ? undefined : (tag) => inLanguage(languagePath, tag),
      });
    },
  };
}

function inLanguage(path: string, tag: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}ui_locales=${tag}`;
}
