import type { Customer } from '../customers/customer.ts';
import { fields, table } from './output.ts';
import type { Answer } from './output.ts';

/** All customers, a line each. */
export function customerList(customers: readonly Customer[]): Answer {
  const rows = customers.map(({ id, profile, status }) => [
    id,
    profile.username,
    profile.name ?? '',
    status,
  ]);
  const text = table(['ID', 'USER NAME', 'NAME', 'STATUS'], rows);
  return { json: { customers: customers.map(asJson) }, text };
}

/** One customer, without the password's hash. */
export function customerDetails(customer: Customer): Answer {
  const { id, status, passwordChangedAt, profile } = customer;
  const text = fields({ id, ...profile, status, 'password changed': passwordChangedAt });
  return { json: { customer: asJson(customer) }, text };
}

/** What was done to a customer; a password made here is shown now and never again. */
export function customerDone(done: string, customer: Customer, password?: string): Answer {
  const { json } = customerDetails(customer);
  const text = `The customer ${customer.profile.username} is ${done}.`;
  if (password === undefined) return { json, text };
  return {
    json: { ...json, password },
    text: `${text}\nThe password is shown this once; only a hash is kept:\n${password}`,
  };
}

function asJson({ id, status, passwordChangedAt, profile }: Customer) {
  return { id, status, passwordChangedAt: passwordChangedAt.toISOString(), profile };
}
