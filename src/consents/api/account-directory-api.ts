import { z } from 'zod';
import { Problem } from '../../problem.ts';
import { sha256 } from '../../security/secrets.ts';
import type { AccountsOf } from '../accounts.ts';

const text = (max: number) => z.string().min(1).max(max);

/** What the bank's core answers; members that are not ours are left to it. */
const answer = z.object({
  accounts: z
    .array(
      z.object({
        id: text(128),
        name: text(100),
        number: text(64),
        identification: z.object({ scheme: text(40), value: text(256) }).optional(),
      }),
    )
    .max(200),
});

interface Dependencies {
  /** Takes `?customer=<id>`. */
  url: string;
  /** With the time limit and the client certificate for the core. */
  fetch: (url: URL, options: RequestInit) => Promise<Response>;
}

/**
 * The accounts of a customer from the bank's core: a GET that answers `{"accounts": [{"id", "name", "number"}]}`.
 * Problem('accounts_unavailable') for everything else, and when it takes too long.
 */
export function createAccountDirectory({ url, fetch }: Dependencies): AccountsOf {
  return async function accountsOf(customerId) {
    const target = new URL(url);
    target.searchParams.set('customer', customerId);
    try {
      const response = await fetch(target, { headers: { accept: 'application/json' } });
      if (response.status !== 200) throw new Error(`status ${String(response.status)}`);
      return answer.parse(await response.json()).accounts;
    } catch (cause) {
      throw new Problem('accounts_unavailable', { detail: target.origin, cause });
    }
  };
}

/** Two accounts for every customer, the same each time: for development. */
export const demoAccounts: AccountsOf = (customerId) => {
  const digits = sha256(`accounts of ${customerId}`).readUInt32BE(0).toString().padStart(8, '0');
  const account = (id: string, name: string, ending: string) => ({
    ...{ id: `${id}-${digits}`, name, number: `•••• ${ending}` },
    identification: {
      scheme: 'UK.OBIE.SortCodeAccountNumber',
      value: `080800${digits.slice(0, 4)}${ending}`,
    },
  });
  return Promise.resolve([
    account('current', 'Current account', digits.slice(0, 4)),
    account('savings', 'Savings', digits.slice(4, 8)),
  ]);
};
