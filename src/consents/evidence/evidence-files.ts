import { z } from 'zod';
import { consentMoves, consentStates, consentTypes } from '../consent.ts';
import type { ConsentMove } from '../consent.ts';

const text = z.string().min(1);
const moment = z.iso.datetime();
const anything = z.record(z.string(), z.unknown());
const digest = z.string().regex(/^[\w-]{43}$/);
const moves = ['create', ...(Object.keys(consentMoves) as ConsentMove[])] as const;

const account = z.strictObject({
  id: text,
  name: text,
  number: text,
  identification: z.strictObject({ scheme: text, value: text }).optional(),
});

const move = z.strictObject({
  version: z.int().positive(),
  at: moment,
  move: z.enum(moves),
  state: z.enum(consentStates),
  by: z.strictObject({
    type: z.enum(['customer', 'client', 'resource-server', 'operator', 'system']),
    id: text.optional(),
  }),
  address: text.optional(),
  request_id: text.optional(),
  reason: text.optional(),
  lodged: anything.optional(),
  accounts: z.array(account).optional(),
  expires_at: moment.optional(),
  authentication: z
    .strictObject({
      acr: text.optional(),
      amr: z.array(text),
      auth_time: moment.optional(),
    })
    .optional(),
  client: anything.optional(),
  page: z.strictObject({ locale: text, digest, shown: text.optional() }).optional(),
  digest,
});

const token = z.strictObject({
  issued_at: moment,
  by: z.enum(['authorization_code', 'refresh_token']),
  client_id: text.optional(),
  request_id: text.optional(),
  digest: digest.optional(),
  audience: z.union([text, z.array(text)]).optional(),
  scope: z.string().optional(),
  format: z.enum(['jwt', 'opaque']),
  bound_to: text.optional(),
});

/** A bundle of evidence; times in ISO 8601, digests SHA-256 in base64url. */
export const evidenceBundle = z.strictObject({
  format: z.literal('countersign-consent-evidence-1'),
  iss: text,
  iat: z.int().positive(),
  software: z.strictObject({ name: text, version: text }),
  consent: z.strictObject({
    id: text,
    client_id: text,
    customer_id: text.optional(),
    type: z.enum(consentTypes),
    regime: text,
    state: z.enum(consentStates),
    permissions: z.array(text),
    payment: anything.optional(),
    account: anything.optional(),
    accounts: z.array(account),
    created_at: moment,
    changed_at: moment,
    decide_by: moment,
    expires_at: moment.optional(),
  }),
  history: z.array(move).min(1),
  history_digest: digest,
  tokens: z.array(token),
});

export type EvidenceBundle = z.infer<typeof evidenceBundle>;
/** What is wrong with a content that is no bundle. */
export type EvidenceError = z.ZodError<EvidenceBundle>;
export type EvidenceMove = EvidenceBundle['history'][number];
export type EvidenceToken = EvidenceBundle['tokens'][number];
