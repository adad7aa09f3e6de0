import type Router from '@koa/router';
import { readForm } from '../http/form.ts';
import { routes } from './routes.ts';

/** OpenID Connect RP-Initiated Logout 1.0 §2. */
const parameters = [
  'id_token_hint',
  'logout_hint',
  'client_id',
  'post_logout_redirect_uri',
  'state',
  'ui_locales',
];

/**
 * Logout requests may come by POST as well; oidc-provider would then want cookies that other sites' forms carry
 * (SameSite=None). The same request by GET needs none of that.
 */
export function addLogoutByPost(router: Router, issuer: string): void {
  router.post(routes.end_session, async (ctx) => {
    ctx.state['route'] = 'end_session';
    const form = await readForm(ctx, { maxBytes: 16 * 1024, maxFields: 20 });
    const url = new URL(routes.end_session, issuer);
    for (const name of parameters) {
      const value = form[name];
      if (value !== undefined) url.searchParams.set(name, value);
    }
    ctx.status = 303;
    ctx.redirect(url.href);
  });
}
