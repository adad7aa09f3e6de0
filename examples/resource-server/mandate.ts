import type { AccessToken } from 'countersign/resource-server';
import type { Mandate, Order } from './bank/bank.ts';

/** A request that is good, for something that it is not for. */
export class Denied extends Error {
  readonly status: 400 | 403 | 404 | 409;
  readonly code: string;

  constructor(status: Denied['status'], code: string) {
    super(code);
    this.name = 'Denied';
    this.status = status;
    this.code = code;
  }
}

/** What a token that was admitted stands for: its consent's customer and accounts, or its subject's. */
export function mandateOf({ subject, consent }: AccessToken): Mandate {
  return {
    holder: consent?.customer ?? subject,
    accounts: consent?.accounts.map(({ id }) => id),
    consentId: consent?.id,
    from: dateIn(consent?.terms['transactions_from']),
    to: dateIn(consent?.terms['transactions_to']),
  };
}

function dateIn(value: unknown): Date | undefined {
  return typeof value === 'string' ? new Date(value) : undefined;
}

/** The UK's names and the neutral ones. */
const permissionsFor = {
  balances: ['ReadBalances', 'balances'],
  transactions: ['ReadTransactionsBasic', 'ReadTransactionsDetail', 'transactions'],
} as const;

/**
 * Object ownership: the account must be one that the customer chose, and what is asked of it something that they allowed.
 * Throws {@link Denied}; an account that the token is not for is as unknown as one that there is not.
 */
export function checkOwnership(
  { consent }: AccessToken,
  accountId: string,
  asked: keyof typeof permissionsFor,
): void {
  const isAllowed = permissionsFor[asked].some((one) => consent?.permissions.includes(one));
  if (!isAllowed) throw new Denied(403, 'permission_missing');
  const isChosen = consent?.accounts.some(({ id }) => id === accountId) === true;
  if (!isChosen) throw new Denied(404, 'account_not_found');
}

/** A payment as a client orders it. */
export interface OrderedPayment {
  amount: string;
  currency: string;
  payee: string;
}

/** What the customer has seen and allowed; anything else throws {@link Denied} (RTS on SCA, Article 5). */
export function orderUnder({ consent }: AccessToken, ordered: OrderedPayment): Order {
  const allowed = Object(consent?.terms['payment'] ?? {}) as Record<string, unknown>;
  const payee = Object(allowed['payee'] ?? {}) as Record<string, unknown>;
  const isTheSame =
    ordered.amount === allowed['amount'] &&
    ordered.currency === allowed['currency'] &&
    ordered.payee === payee['identification'];
  if (!isTheSame) throw new Denied(403, 'payment_differs');
  const [account] = consent?.accounts ?? [];
  if (account === undefined) throw new Denied(403, 'account_missing');
  return { ...ordered, accountId: account.id };
}

/** A client's JSON; Denied for what is no order. */
export function orderIn(body: unknown): OrderedPayment {
  const { amount, currency, payee, ...rest } = Object(body ?? {}) as Record<string, unknown>;
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
  if (Object.keys(rest).length > 0 || !isText(amount) || !isText(currency) || !isText(payee)) {
    throw new Denied(400, 'invalid_request');
  }
  if (!/^\d{1,13}(?:\.\d{1,2})?$/.test(amount)) throw new Denied(400, 'invalid_request');
  return { amount, currency, payee };
}
