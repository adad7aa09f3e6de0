import { z } from 'zod';
import type { Consent } from '../consent-codec.ts';
import { collection } from './consent-dialect-api.ts';
import type { ConsentDialect, Refusal, RequestFault } from './consent-dialect-api.ts';
import type { ConsentState, ConsentTerms, ConsentType, NamedAccount } from '../consent.ts';
import { uk, ukResources, ukStatus } from '../regimes/uk.ts';
import { visibleText } from './visible-text-api.ts';

// The shapes of the Read/Write API v4.0. What we don't handle is refused, as the standard demands for conditional fields.

const base = '/open-banking/v4.0';
const text = visibleText;
/** ISO 8601; where the zone is left out it is UTC. */
const dateTime = z.iso.datetime({ offset: true, local: true });

const account = z.strictObject({
  SchemeName: text(40),
  Identification: text(256),
  Name: text(350).optional(),
  SecondaryIdentification: text(34).optional(),
});
const payee = account.extend({ Name: text(350) });

const amount = z.strictObject({
  Amount: z.string().regex(/^\d{1,13}(?:\.\d{1,5})?$/),
  Currency: z.string().regex(/^[A-Z]{3}$/),
});

const initiation = z.strictObject({
  InstructionIdentification: text(35),
  EndToEndIdentification: text(35),
  LocalInstrument: text(50).optional(),
  InstructedAmount: amount,
  DebtorAccount: account.optional(),
  CreditorAccount: payee,
  RemittanceInformation: z
    .strictObject({
      Unstructured: z.array(text(140)).max(10).optional(),
      Structured: z
        .array(
          z.strictObject({
            CreditorReferenceInformation: z.strictObject({ Reference: text(35) }),
          }),
        )
        .max(10)
        .optional(),
    })
    .optional(),
});

const paymentRisk = z.strictObject({
  PaymentContextCode: text(50).optional(),
  MerchantCategoryCode: text(4).optional(),
  MerchantCustomerIdentification: text(70).optional(),
  ContractPresentIndicator: z.boolean().optional(),
  BeneficiaryPrepopulatedIndicator: z.boolean().optional(),
  BeneficiaryAccountType: text(50).optional(),
});

const accessData = z.strictObject({
  Permissions: z.array(z.enum(Object.keys(uk.permissions))).max(50),
  ExpirationDateTime: dateTime.optional(),
  TransactionFromDateTime: dateTime.optional(),
  TransactionToDateTime: dateTime.optional(),
});
const paymentData = z.strictObject({
  ReadRefundAccount: z.enum(['Yes', 'No']).optional(),
  Initiation: initiation,
});
const fundsData = z.strictObject({
  ExpirationDateTime: dateTime.optional(),
  DebtorAccount: account,
});

const noRisk = z.strictObject({});

const status = z.strictObject({
  ConsentId: text(128),
  CreationDateTime: dateTime,
  Status: z.enum(Object.values(ukStatus)),
  StatusUpdateDateTime: dateTime,
  StatusReason: z
    .array(z.strictObject({ StatusReasonCode: text(4), StatusReasonDescription: text(500) }))
    .optional(),
});

const response = (data: z.ZodObject, risk?: z.ZodObject) =>
  z.strictObject({
    Data: data.extend(status.shape),
    ...(risk === undefined ? {} : { Risk: risk }),
    Links: z.strictObject({ Self: z.url() }),
    Meta: z.strictObject({ TotalPages: z.literal(1) }),
  });

const moment = (value: string | undefined): Date | undefined => {
  if (value === undefined) return undefined;
  return new Date(/(?:Z|[+-]\d\d:?\d\d)$/i.test(value) ? value : `${value}Z`);
};

function named(given: z.infer<typeof account>): NamedAccount {
  return {
    scheme: given.SchemeName,
    identification: given.Identification,
    name: given.Name,
    secondaryIdentification: given.SecondaryIdentification,
  };
}

function referenceIn({ RemittanceInformation: told }: z.infer<typeof initiation>) {
  return told?.Structured?.[0]?.CreditorReferenceInformation.Reference ?? told?.Unstructured?.[0];
}

function paymentTerms(asked: z.infer<typeof initiation>): ConsentTerms['payment'] {
  const { InstructedAmount: sum, CreditorAccount, DebtorAccount } = asked;
  return {
    amount: sum.Amount,
    currency: sum.Currency,
    payee: named(CreditorAccount),
    reference: referenceIn(asked),
    payer: DebtorAccount && named(DebtorAccount),
  };
}

/** OBExternalStatusReason1Code, where one says more than the status. */
const reasons: Partial<Record<ConsentState, { code: string; description: string }>> = {
  'awaiting-authorisation': { code: 'U036', description: 'Authorisation not completed' },
  rejected: { code: 'U033', description: 'Authorisation failed' },
};

/** What was asked for comes back as it came, with what became of it. */
function bodyOf(consent: Consent, self: string): unknown {
  const { Data, Risk } = (consent.own ?? {}) as { Data?: object; Risk?: object };
  const reason = reasons[consent.state];
  return {
    Data: {
      ...Data,
      ConsentId: consent.id,
      CreationDateTime: consent.createdAt.toISOString(),
      Status: ukStatus[consent.state],
      StatusUpdateDateTime: consent.changedAt.toISOString(),
      ...(reason === undefined
        ? {}
        : {
            StatusReason: [
              { StatusReasonCode: reason.code, StatusReasonDescription: reason.description },
            ],
          }),
    },
    ...(Risk === undefined ? {} : { Risk }),
    Links: { Self: self },
    Meta: { TotalPages: 1 },
  };
}

/** The standard's path with its resource group, and the one without that older clients know. */
function pathsOf(type: ConsentType): string[] {
  const { group, resource } = ukResources[type];
  return [`${base}/${group}/${resource}`, `${base}/${resource}`];
}

const accessConsents = collection({
  name: 'accountAccessConsent',
  type: 'accounts',
  paths: pathsOf('accounts'),
  request: z.strictObject({ Data: accessData, Risk: noRisk.optional() }),
  response: response(accessData, noRisk),
  idempotencyKey: 'optional',
  isDeletable: true,
  termsOf: ({ Data, Risk = {} }) => ({
    type: 'accounts',
    permissions: [...new Set(Data.Permissions)],
    expiresAt: moment(Data.ExpirationDateTime),
    transactionsFrom: moment(Data.TransactionFromDateTime),
    transactionsTo: moment(Data.TransactionToDateTime),
    own: { Data, Risk },
  }),
  bodyOf,
});

const paymentConsents = collection({
  name: 'domesticPaymentConsent',
  type: 'payment',
  paths: pathsOf('payment'),
  request: z.strictObject({ Data: paymentData, Risk: paymentRisk }),
  response: response(paymentData, paymentRisk),
  idempotencyKey: 'required',
  isDeletable: false,
  termsOf: ({ Data, Risk }) => ({
    type: 'payment',
    permissions: [],
    payment: paymentTerms(Data.Initiation),
    own: { Data, Risk },
  }),
  bodyOf,
});

const fundsConsents = collection({
  name: 'fundsConfirmationConsent',
  type: 'funds-confirmation',
  paths: pathsOf('funds-confirmation'),
  request: z.strictObject({ Data: fundsData }),
  response: response(fundsData),
  idempotencyKey: 'optional',
  isDeletable: true,
  termsOf: ({ Data }) => ({
    type: 'funds-confirmation',
    permissions: [],
    expiresAt: moment(Data.ExpirationDateTime),
    account: named(Data.DebtorAccount),
    own: { Data },
  }),
  bodyOf,
});

const faultCodes: Record<RequestFault['kind'], string> = {
  invalid: 'U002',
  'invalid-date': 'U003',
  missing: 'U004',
  'invalid-header': 'U006',
  'missing-header': 'U007',
};

/** Statuses and codes where the standard's are others than ours; it wants 400 for ids that nobody knows. */
const answers: Partial<Record<Refusal['code'], { status: number; code: string; path?: string }>> = {
  consent_not_found: { status: 400, code: 'U011' },
  consent_state: { status: 400, code: 'U009' },
  idempotency_mismatch: { status: 400, code: 'U006', path: 'x-idempotency-key' },
  invalid_request: { status: 400, code: 'U010' },
};

/** OBErrorResponse1. */
function refusal(refused: Refusal) {
  const { code, status: ownStatus, message, reference, faults } = refused;
  const answer = answers[code] ?? { status: ownStatus, code: 'U042' };
  const general = { ErrorCode: answer.code, Message: message, Path: answer.path };
  const Errors = faults.map((fault) => ({
    ErrorCode: faultCodes[fault.kind],
    Message: fault.message,
    Path: fault.path,
  }));
  return {
    status: answer.status,
    contentType: 'application/json; charset=utf-8',
    body: { Id: reference, Message: message, Errors: Errors.length > 0 ? Errors : [general] },
  };
}

/** UK Open Banking, Read/Write API v4.0. */
export const ukDialect: ConsentDialect = {
  regime: uk,
  collections: [accessConsents, paymentConsents, fundsConsents],
  memberPaths: {
    permissions: 'Data.Permissions',
    expiresAt: 'Data.ExpirationDateTime',
    transactionsFrom: 'Data.TransactionFromDateTime',
    payment: 'Data.Initiation.InstructedAmount.Amount',
    account: 'Data.DebtorAccount',
  },
  refusal,
};
