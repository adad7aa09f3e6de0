import type { z } from 'zod';
import type { ProblemCode } from '../../problem.ts';
import type { Consent } from '../consent-codec.ts';
import type { ConsentTerms, ConsentType, Regime, TermsFault } from '../consent.ts';

/** One thing that is wrong with a request; `path` with dots, as clients wrote it. */
export interface RequestFault {
  kind: TermsFault['kind'] | 'missing-header' | 'invalid-header';
  path: string;
  message: string;
}

/** A request that is not carried out. */
export interface Refusal {
  code: ProblemCode;
  status: number;
  /** The sentence that a caller may read. */
  message: string;
  /** By which the log tells the rest. */
  reference: string;
  faults: readonly RequestFault[];
}

/** How a refusal is answered. */
export interface RefusalAnswer {
  status: number;
  contentType: string;
  body: unknown;
}

/** Consents of one kind at their path, in the words of one API. */
export interface ConsentCollection<Request = unknown> {
  /** For OpenAPI, in camel case. */
  name: string;
  /** Undefined where consents of all types share the path. */
  type: ConsentType | undefined;
  /** Where it is; the first is the one that is documented. */
  paths: readonly string[];
  request: z.ZodType<Request>;
  response: z.ZodType;
  /** Whether a key must be sent, may be, or is of no use. */
  idempotencyKey: 'required' | 'optional';
  isDeletable: boolean;
  termsOf(request: Request): ConsentTerms;
  bodyOf(consent: Consent, self: string): unknown;
}

/** One API over the same consents. */
export interface ConsentDialect {
  regime: Regime;
  collections: readonly ConsentCollection[];
  /** Paths of the request's members by those of {@link ConsentTerms}. */
  memberPaths: Readonly<Record<TermsFault['member'], string>>;
  refusal(refusal: Refusal): RefusalAnswer;
}

/** Keeps the type of the request between schema and terms. */
export function collection<Request>(made: ConsentCollection<Request>): ConsentCollection {
  return made;
}
