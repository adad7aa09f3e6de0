import type { PermissionRule, Regime } from '../consent.ts';

const permissions: Record<string, PermissionRule> = {
  'account-details': { cluster: 'account-details' },
  balances: { cluster: 'account-details' },
  transactions: { cluster: 'transactions' },
  'regular-payments': { cluster: 'regular-payments' },
  statements: { cluster: 'statements' },
  features: { cluster: 'features' },
  party: { cluster: 'party' },
};

/** No market's words: the neutral API, and authorization details (RFC 9396). */
export const plain: Regime = {
  name: 'plain',
  scopes: { accounts: 'accounts', payment: 'payments', 'funds-confirmation': 'fundsconfirmations' },
  lodgingScopes: { accounts: 'consents', payment: 'consents', 'funds-confirmation': 'consents' },
  permissions,
  requiredPermissions: Object.keys(permissions),
  decisionSeconds: 86_400,
  // RTS on SCA Article 10a: a customer authenticates again after 180 days at the latest.
  longestDays: 180,
};
