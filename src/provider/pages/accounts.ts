import { intentClaim } from '../requests/consent-requests.ts';
import { refuseExcess } from '../clients/limited-clients.ts';
import type { Consents, Customers, Limits, Share } from '../ports.ts';

/** OpenID Connect Core §5.4: which claims each scope opens. */
export const claimsByScope: Record<string, string[]> = {
  // Always in the ID token: whoever relies on a login wants to know when and how it was (row P6).
  openid: ['sub', 'acr', 'amr', 'auth_time'],
  profile: [
    'name',
    'family_name',
    'given_name',
    'middle_name',
    'nickname',
    'preferred_username',
    'birthdate',
    'zoneinfo',
    'locale',
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  phone: ['phone_number', 'phone_number_verified'],
  address: ['address'],
};

/** About the login, not about who the customer is: nobody needs permission for them. */
const aboutTheLogin: readonly string[] = [
  ...(claimsByScope['openid'] ?? []),
  'iss',
  'sid',
  intentClaim,
];

/** The `claims` parameter as far as we look at it. */
interface AskedClaims {
  id_token?: object | null | undefined;
  userinfo?: object | null | undefined;
}

/** What a client's metadata says of its scopes. */
interface LimitedClient {
  scope?: string | undefined;
}

/** Whether the client may have the claim: its `scope` metadata, where it has any, limits it to what those scopes open. */
function isOpenTo(client: LimitedClient, claim: string): boolean {
  if (client.scope === undefined || aboutTheLogin.includes(claim)) return true;
  const opening = client.scope.split(' ').filter((scope) => Object.hasOwn(claimsByScope, scope));
  return opening.some((scope) => claimsByScope[scope]?.includes(claim));
}

/**
 * The `claims` parameter (OpenID Connect Core §5.5) without what the client may not have: the customer is not asked for it,
 * and it is not given.
 */
export function withoutClosedClaims(client: LimitedClient, asked: AskedClaims): AskedClaims {
  const open = (claims: object) =>
    Object.fromEntries(Object.entries(claims).filter(([name]) => isOpenTo(client, name)));
  return {
    ...(asked.id_token && { id_token: open(asked.id_token) }),
    ...(asked.userinfo && { userinfo: open(asked.userinfo) }),
  };
}

/**
 * Customers as OpenID accounts. An ID token says who logged in and nothing more about them: what scopes open comes from
 * userinfo (OpenID Connect Core §5.4), unless the claims parameter asks for it in the ID token (§5.5).
 */
export function accountShare(
  customers: Customers,
  { consents, limits }: { consents: Pick<Consents, 'isId'>; limits: Limits },
): Share {
  return {
    async findAccount(ctx, accountId, token) {
      const excess = await limits.excess('customer', accountId);
      if (excess !== undefined) refuseExcess(ctx, excess);
      const profile = await customers.claimsOf(accountId);
      if (profile === undefined) return undefined;
      const grantId = (token as { grantId?: unknown } | undefined)?.grantId;
      const known = consents.isId(grantId) ? { ...profile, [intentClaim]: grantId } : profile;
      return {
        accountId,
        claims(use, _scope, asked) {
          const client = ctx.oidc.client ?? { scope: 'openid' };
          const isOpen = (name: string) =>
            isOpenTo(client, name) && (use !== 'id_token' || Object.hasOwn(asked, name));
          const open = Object.entries(known).filter(([name]) => isOpen(name));
          return { ...Object.fromEntries(open), sub: accountId };
        },
      };
    },
    claims: { ...claimsByScope, iss: null, sid: null, [intentClaim]: null },
    scopes: ['openid', 'offline_access'],
  };
}
