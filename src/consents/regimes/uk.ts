import type { ConsentState, ConsentType, PermissionRule, Regime } from '../consent.ts';

const transactions = ['ReadTransactionsBasic', 'ReadTransactionsDetail'];
const directions = ['ReadTransactionsCredits', 'ReadTransactionsDebits'];

/** Account and Transaction API Profile v4.0, "Permissions": the data clusters are those of the customer guidelines. */
const permissions: Record<string, PermissionRule> = {
  ReadAccountsBasic: { cluster: 'account-details' },
  ReadAccountsDetail: { cluster: 'account-details' },
  ReadBalances: { cluster: 'account-details' },
  ReadPAN: { cluster: 'account-details' },
  ReadBeneficiariesBasic: { cluster: 'regular-payments' },
  ReadBeneficiariesDetail: { cluster: 'regular-payments' },
  ReadStandingOrdersBasic: { cluster: 'regular-payments' },
  ReadStandingOrdersDetail: { cluster: 'regular-payments' },
  ReadDirectDebits: { cluster: 'regular-payments' },
  ReadScheduledPaymentsBasic: { cluster: 'regular-payments' },
  ReadScheduledPaymentsDetail: { cluster: 'regular-payments' },
  ReadTransactionsBasic: { cluster: 'transactions', needs: [directions] },
  ReadTransactionsDetail: { cluster: 'transactions', needs: [directions] },
  ReadTransactionsCredits: { cluster: 'transactions', needs: [transactions] },
  ReadTransactionsDebits: { cluster: 'transactions', needs: [transactions] },
  ReadStatementsBasic: { cluster: 'statements' },
  ReadStatementsDetail: { cluster: 'statements' },
  ReadProducts: { cluster: 'features' },
  ReadOffers: { cluster: 'features' },
  ReadParty: { cluster: 'party' },
  ReadPartyPSU: { cluster: 'party' },
};

const scopes = {
  accounts: 'accounts',
  payment: 'payments',
  'funds-confirmation': 'fundsconfirmations',
};

/** UK Open Banking, Read/Write API v4.0. */
export const uk: Regime = {
  name: 'uk',
  scopes,
  lodgingScopes: scopes,
  permissions,
  requiredPermissions: ['ReadAccountsBasic', 'ReadAccountsDetail'],
  // Expired intents may be removed after 24 hours (security profile); a customer who comes later starts anew.
  decisionSeconds: 86_400,
  longestDays: undefined,
};

/** Status codes of v4.0 (OBInternalConsentStatus1Code). */
export const ukStatus = {
  'awaiting-authorisation': 'AWAU',
  authorised: 'AUTH',
  rejected: 'RJCT',
  revoked: 'CANC',
  expired: 'EXPD',
  consumed: 'COND',
} as const satisfies Record<ConsentState, string>;

/** Resource names of v4.0 and the resource group that each stands in. */
export const ukResources = {
  accounts: { group: 'aisp', resource: 'account-access-consents' },
  payment: { group: 'pisp', resource: 'domestic-payment-consents' },
  'funds-confirmation': { group: 'cbpii', resource: 'funds-confirmation-consents' },
} as const satisfies Record<ConsentType, { group: string; resource: string }>;
