import type Koa from 'koa';
import type { Pages } from '../../http/pages.ts';
import { currentRequest } from '../../observability/request-context.ts';
import type { ProviderPages } from '../ports.ts';

/** The pages that the engine shows by itself; {@link createPages} of `http/` draws them. */
export interface HostedPages extends ProviderPages {
  /** The same error page as text, for errors outside the engine. */
  renderErrorPage(ctx: Koa.Context, page: { code: string; reference: string }): string;
}

/** The engine's pages in the bank's looks. */
export function createHostedPages(pages: Pages): HostedPages {
  function showError(ctx: Koa.Context, code: string, reference: string): void {
    const isOwnPage = `${ctx.path}/`.startsWith('/account/');
    pages.show(ctx, { page: 'error', data: { code, reference, isOwnPage }, status: ctx.status });
  }

  return {
    error(ctx, { code }) {
      showError(ctx, code, currentRequest()?.requestId ?? '');
    },
    logout(ctx, page) {
      pages.show(ctx, { page: 'logout', data: page, formActions: logoutTargets(ctx) });
    },
    loggedOut(ctx, page) {
      pages.show(ctx, { page: 'logged-out', data: page });
    },
    carryOn(ctx, { formActions, ...form }) {
      pages.show(ctx, { page: 'carry-on', data: form, formActions, status: ctx.status });
    },
    renderErrorPage(ctx, { code, reference }) {
      showError(ctx, code, reference);
      return String(ctx.body);
    },
  };
}

/** Where the logout form may end: the client's page that the customer returns to. */
function logoutTargets(ctx: Koa.Context): string[] {
  const uri = (ctx['oidc'] as { params?: Record<string, unknown> } | undefined)?.params?.[
    'post_logout_redirect_uri'
  ];
  return typeof uri === 'string' ? [uri] : [];
}
