import type { Customers, Share } from './ports.ts';

/** OpenID Connect Core §5.4: which claims each scope opens. */
export const claimsByScope: Record<string, string[]> = {
  openid: ['sub'],
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

/** Customers as OpenID accounts. */
export function accountShare(customers: Customers): Share {
  return {
    async findAccount(_ctx, accountId) {
      const claims = await customers.claimsOf(accountId);
      if (claims === undefined) return undefined;
      return { accountId, claims: () => ({ ...claims, sub: accountId }) };
    },
    claims: { ...claimsByScope, acr: null, amr: null, auth_time: null, iss: null, sid: null },
    scopes: ['openid', 'offline_access'],
  };
}
