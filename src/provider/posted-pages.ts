import type Router from '@koa/router';
import { readFormFields } from '../http/form.ts';
import { routes } from './routes.ts';

/** A request may be for several resource servers (RFC 8707 §2). */
const limits = { maxBytes: 16 * 1024, maxFields: 40, repeatable: ['resource'] };

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
      ctx.status = 303;
      ctx.redirect(url.href);
    });
  }
}
