import type Koa from 'koa';
import { pageHeaders } from './headers.ts';
import type { Locale, Locales } from './locale.ts';
import type { PageData, PageName } from './page-data.ts';
import type { Renderer } from './render.ts';

/** How a page is shown besides its data. */
export interface ShowOptions {
  status?: number;
  /** Redirect URIs at which a form of this page may end (see headers.ts). */
  formActions?: readonly string[];
  /** `ui_locales` of the authorization request. */
  uiLocales?: string | undefined;
}

/** Shows hosted pages in the customer's language. */
export interface Pages {
  show<P extends PageName>(ctx: Koa.Context, page: P, content: PageData[P], options?: ShowOptions): void;
  localeOf(ctx: Koa.Context, uiLocales?: string): Locale;
}

/** Pages of one renderer. */
export function createPages(renderer: Renderer, locales: Pick<Locales, 'chooseLocale'>): Pages {
  function localeOf(ctx: Koa.Context, uiLocales?: string): Locale {
    const asked = ctx.query['ui_locales'];
    return locales.chooseLocale({
      uiLocales: typeof asked === 'string' ? asked : uiLocales,
      acceptLanguage: ctx.get('Accept-Language'),
    });
  }

  return {
    localeOf,
    show(ctx, page, content, { status, formActions, uiLocales } = {}) {
      const locale = localeOf(ctx, uiLocales);
      pageHeaders(ctx, formActions === undefined ? {} : { formActions });
      ctx.set('Content-Language', locale.tag);
      ctx.set('Vary', 'Accept-Language');
      ctx.status = status ?? 200;
      ctx.type = 'html';
      ctx.body = renderer.render(page, content, { locale });
    },
  };
}
