import { Problem } from '../problem.ts';
import type { Consent, OfferedAccount } from './consent-codec.ts';

/** The accounts of a customer, from the bank's core. Problem('accounts_unavailable') when it does not answer. */
export type AccountsOf = (customerId: string) => Promise<readonly OfferedAccount[]>;

/** Where nothing is configured: no account is better than somebody else's. */
export const noAccounts: AccountsOf = () =>
  Promise.reject(
    new Problem('accounts_unavailable', { detail: 'COUNTERSIGN_ACCOUNTS_URL is not set' }),
  );

/** Which of a customer's accounts may be chosen: all, or the one that the client names. */
export function accountsToOffer(
  { payment, account }: Pick<Consent, 'payment' | 'account'>,
  accounts: readonly OfferedAccount[],
): OfferedAccount[] {
  const named = payment?.payer ?? account;
  return accounts.filter(
    ({ identification }) =>
      named === undefined ||
      (identification?.scheme === named.scheme && identification.value === named.identification),
  );
}

/** The chosen ones of `offered`; undefined unless it is one at least, and exactly one unless accounts are shared. */
export function chosenAccounts(
  { type }: Pick<Consent, 'type'>,
  offered: readonly OfferedAccount[],
  chosen: ReadonlySet<string>,
): OfferedAccount[] | undefined {
  const found = offered.filter(({ id }) => chosen.has(id));
  const isKnown = found.length === chosen.size;
  const isEnough = type === 'accounts' ? found.length > 0 : found.length === 1;
  return isKnown && isEnough ? found : undefined;
}
