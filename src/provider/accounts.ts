import { intentClaim } from './consent-requests.ts';
import type { Consents, Customers, Share } from './ports.ts';

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

/**
 * Customers as OpenID accounts. An ID token says who logged in and nothing more about them: what scopes open comes from
 * userinfo (OpenID Connect Core §5.4), unless the claims parameter asks for it in the ID token (§5.5).
 */
export function accountShare(customers: Customers, consents: Pick<Consents, 'isId'>): Share {
  return {
    async findAccount(_ctx, accountId, token) {
      const profile = await customers.claimsOf(accountId);
      if (profile === undefined) return undefined;
      const grantId = (token as { grantId?: unknown } | undefined)?.grantId;
      const known = consents.isId(grantId) ? { ...profile, [intentClaim]: grantId } : profile;
      return {
        accountId,
        claims(use, _scope, asked) {
          const isOpen = (name: string) => use !== 'id_token' || Object.hasOwn(asked, name);
          const open = Object.entries(known).filter(([name]) => isOpen(name));
          return { ...Object.fromEntries(open), sub: accountId };
        },
      };
    },
    claims: { ...claimsByScope, iss: null, sid: null, [intentClaim]: null },
    scopes: ['openid', 'offline_access'],
  };
}
