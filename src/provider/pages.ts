import type { ProviderPages, Share } from './ports.ts';

/** The pages that oidc-provider would otherwise draw by itself. */
export function pageShare(pages: ProviderPages): Share {
  return {
    renderError(ctx, out, error) {
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
