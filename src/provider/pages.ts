import type { ProviderPages, Share } from './ports.ts';

/** RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 7662 §2.3: errors here are JSON, whatever `Accept` says. */
const forClients = new Set([
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
      pages.error(ctx, { code: out.error, cause: error });
    },
    features: {
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          pages.logout(ctx, { form, ...clientNameOf(ctx.oidc.client) });
        },
        postLogoutSuccessSource(ctx) {
          pages.loggedOut(ctx, clientNameOf(ctx.oidc.client));
        },
      },
    },
  };
}

function clientNameOf(client: { clientName?: string | undefined } | undefined): {
  clientName?: string;
} {
  return client?.clientName === undefined ? {} : { clientName: client.clientName };
}
