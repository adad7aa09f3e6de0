import { z } from 'zod';
import type { Consent } from '../consent-codec.ts';
import { collection } from './consent-dialect-api.ts';
import type { ConsentDialect, Refusal } from './consent-dialect-api.ts';
import { consentStates, consentTypes } from '../consent.ts';
import type { ConsentTerms, NamedAccount } from '../consent.ts';
import { plain } from '../regimes/plain.ts';
import { visibleText } from './visible-text-api.ts';

/** Where the neutral API is. */
export const plainPath = '/consents/v1';

const text = visibleText;
const moment = z.iso.datetime({ offset: true });

const account = z.strictObject({
  scheme: text(40),
  identification: text(256),
  name: text(350).optional(),
  secondary_identification: text(34).optional(),
});

const payment = z.strictObject({
  amount: z.string().regex(/^\d{1,13}(?:\.\d{1,5})?$/),
  currency: z.string().regex(/^[A-Z]{3}$/),
  payee: account.extend({ name: text(350) }),
  reference: text(140).optional(),
  payer: account.optional(),
});

const terms = {
  permissions: z
    .array(z.enum(Object.keys(plain.permissions)))
    .max(50)
    .optional(),
  expires_at: moment.optional(),
  transactions_from: moment.optional(),
  transactions_to: moment.optional(),
  payment: payment.optional(),
  account: account.optional(),
};

/** What is lodged by the neutral API, and what an authorization detail says besides its type (RFC 9396). */
export const plainTerms = z.strictObject(terms);

const request = z.strictObject({ type: z.enum(consentTypes), ...terms });

const response = request.extend({
  id: text(128),
  status: z.enum(consentStates),
  status_changed_at: moment,
  created_at: moment,
  decide_by: moment,
  accounts: z.array(z.strictObject({ id: text(256) })),
});

function named(given: z.infer<typeof account>): NamedAccount {
  const { secondary_identification: secondaryIdentification, ...rest } = given;
  return { ...rest, secondaryIdentification };
}

function written({ secondaryIdentification, ...rest }: NamedAccount): z.infer<typeof account> {
  return { ...rest, secondary_identification: secondaryIdentification };
}

const date = (value: string | undefined): Date | undefined =>
  value === undefined ? undefined : new Date(value);

/** The terms that neutral words stand for. */
export function plainTermsOf({ type, ...asked }: z.infer<typeof request>): ConsentTerms {
  const { payment: sum, account: asking } = asked;
  return {
    type,
    permissions: [...new Set(asked.permissions)],
    expiresAt: date(asked.expires_at),
    transactionsFrom: date(asked.transactions_from),
    transactionsTo: date(asked.transactions_to),
    payment: sum && { ...sum, payee: named(sum.payee), payer: sum.payer && named(sum.payer) },
    account: asking && named(asking),
  };
}

/** The terms in neutral words; members without a value are left out by JSON. */
export function plainWords(consent: ConsentTerms) {
  const { payment: sum, account: asked } = consent;
  return {
    permissions: consent.type === 'accounts' ? consent.permissions : undefined,
    expires_at: consent.expiresAt?.toISOString(),
    transactions_from: consent.transactionsFrom?.toISOString(),
    transactions_to: consent.transactionsTo?.toISOString(),
    payment: sum && { ...sum, payee: written(sum.payee), payer: sum.payer && written(sum.payer) },
    account: asked && written(asked),
  };
}

function bodyOf(consent: Consent): unknown {
  return {
    id: consent.id,
    type: consent.type,
    status: consent.state,
    status_changed_at: consent.changedAt.toISOString(),
    created_at: consent.createdAt.toISOString(),
    decide_by: consent.decideBy.toISOString(),
    ...plainWords(consent),
    accounts: consent.accounts.map(({ id }) => ({ id })),
  };
}

/** Problem details (RFC 9457). */
function refusal({ code, status, message, reference, faults }: Refusal) {
  return {
    status,
    contentType: 'application/problem+json; charset=utf-8',
    body: {
      type: `urn:countersign:problem:${code}`,
      title: message,
      status,
      code,
      reference,
      ...(faults.length === 0
        ? {}
        : { errors: faults.map(({ path, message: detail }) => ({ path, detail })) }),
    },
  };
}

/** The neutral API. */
export const plainDialect: ConsentDialect = {
  regime: plain,
  collections: [
    collection({
      name: 'consent',
      type: undefined,
      paths: [plainPath],
      request,
      response,
      idempotencyKey: 'optional',
      isDeletable: true,
      termsOf: plainTermsOf,
      bodyOf,
    }),
  ],
  memberPaths: {
    permissions: 'permissions',
    expiresAt: 'expires_at',
    transactionsFrom: 'transactions_from',
    payment: 'payment.amount',
    account: 'account',
  },
  refusal,
};
