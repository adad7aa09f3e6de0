import { withoutClosedClaims } from './pages/accounts.ts';
import { webOriginOf } from '../security/web-origin.ts';
import type { Share } from './ports.ts';
import { rejectUnreachableAcr } from './pages/authentication-context.ts';
import { routes } from './routes.ts';

/** How the session's cookie is set. */
export const sessionCookie = {
  signed: true,
  httpOnly: true,
  secure: true,
  sameSite: 'lax',
  path: '/',
} as const;

/** The protocol's shape for every client: OAuth 2.1 and RFC 9700. */
export function protocolShare(cookieKeys: readonly string[]): Share {
  return {
    routes: { ...routes },
    responseTypes: ['code'],
    pkce: { required: () => true },
    // Seconds by which other machines' clocks may differ; FAPI 2.0 §5.3.2.1 wants 10 accepted.
    clockTolerance: 10,
    allowOmittingSingleRegisteredRedirectUri: false,
    clientDefaults: { grant_types: ['authorization_code'], response_types: ['code'] },
    extraClientMetadata: { properties: ['software_id', 'software_version', 'security_profile'] },
    cookies: {
      keys: [...cookieKeys],
      names: {
        // The __Host- prefix keeps other hosts of the bank's domain from setting it (RFC 6265bis §4.1.3.2).
        session: '__Host-session',
        interaction: '__Secure-interaction',
        resume: '__Secure-resume',
      },
      long: sessionCookie,
      short: { signed: true, httpOnly: true, secure: true, sameSite: 'lax' },
    },
    // RFC 9700 §2.6: no CORS at the authorization endpoint; tokens only for browser clients' own origins.
    clientBasedCORS: (ctx, origin, client) =>
      ctx.oidc.route === 'userinfo' || client.clientAuthMethod === 'none'
        ? (client.redirectUris ?? []).some((uri) => webOriginOf(uri) === origin)
        : false,
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      claimsParameter: {
        enabled: true,
        assertClaimsParameter(ctx, claims, client) {
          rejectUnreachableAcr(claims);
          if (client.scope === undefined || ctx.oidc.params === undefined) return;
          // What is read from here on; the pushed or signed request itself is judged anew each time.
          ctx.oidc.params['claims'] = JSON.stringify(withoutClosedClaims(client, claims));
        },
      },
      userinfo: { enabled: true },
    },
  };
}
