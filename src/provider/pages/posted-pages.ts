import type Router from '@koa/router';
import { bounds } from '../../bounds.ts';
import { readFormFields } from '../../http/form.ts';
import { Problem } from '../../problem.ts';
import { routes } from '../routes.ts';

const { maxUrlLength, ...sizes } = bounds.postedRequests;
const limits = { ...sizes, repeatable: ['resource'] };

/**
 * Authorization and logout requests may come by POST as well (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2).
 * oidc-provider would then want cookies that other sites' forms carry (SameSite=None); the same request by GET needs
 * none of that.
 */
export function acceptByPost(router: Router, issuer: string): void {
  for (const route of ['authorization', 'end_session'] as const) {
    router.post(routes[route], async (ctx) => {
      ctx.state['route'] = route;
      const fields = await readFormFields(ctx, limits);
      const url = new URL(routes[route], issuer);
      for (const [name, value] of fields) url.searchParams.append(name, value);
      // Forms may leave unescaped what a URL escapes threefold.
      if (url.href.length > maxUrlLength) throw new Problem('payload_too_large');
      ctx.status = 303;
      ctx.redirect(url.href);
    });
  }
}
