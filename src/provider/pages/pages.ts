import type { KoaContextWithOIDC } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { ProviderPages, Share } from '../ports.ts';

/** RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 7662 §2.3: errors here are JSON, whatever `Accept` says. */
const forClients = new Set([
  'pushed_authorization_request',
  'token',
  'introspection',
  'revocation',
  'userinfo',
  'jwks',
  'discovery',
]);

/** The pages that oidc-provider would otherwise draw by itself. */
export function pageShare(pages: ProviderPages): Share {
  return {
    renderError(ctx, out, error) {
      if (forClients.has(ctx.oidc.route)) {
        ctx.body = out;
        return;
      }
      pages.error(ctx, { code: codeOf(ctx, { out, error }), cause: error });
    },
    features: {
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          pages.logout(ctx, { form, ...clientNameOf(ctx.oidc.client) });
        },
        async postLogoutSuccessSource(ctx) {
          const stillSignedIn = await isSignedIn(ctx);
          pages.loggedOut(ctx, { ...clientNameOf(ctx.oidc.client), stillSignedIn });
        },
      },
    },
  };
}

/** What oidc-provider calls an invalid request is, in these two cases, no fault of the app. */
function codeOf(
  ctx: KoaContextWithOIDC,
  { out, error }: { out: { error: string }; error: Error },
): string {
  if (error instanceof errors.SessionNotFound) return 'interaction_not_found';
  const isOldForm = ctx.oidc.route === 'end_session_confirm' && out.error === 'invalid_request';
  return isOldForm ? 'csrf_mismatch' : out.error;
}

/** oidc-provider shows one page to those who signed out and to those who stay. */
async function isSignedIn(ctx: KoaContextWithOIDC): Promise<boolean> {
  const { provider } = ctx.oidc;
  const id = ctx.cookies.get(provider.cookieName('session'), { signed: true });
  const session = id === undefined ? undefined : await provider.Session.find(id);
  return session?.accountId !== undefined;
}

function clientNameOf(client: { clientName?: string | undefined } | undefined): {
  clientName?: string;
} {
  return client?.clientName === undefined ? {} : { clientName: client.clientName };
}
