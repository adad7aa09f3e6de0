import { z } from 'zod';
import { flag, oneOf, setting, whole } from './setting.ts';

const list = (isValid: (entry: string) => boolean, message: string) =>
  z
    .string()
    .transform((value) => value.split(',').map((part) => part.trim()))
    .transform((parts) => parts.filter((part) => part !== ''))
    .refine((parts) => parts.every(isValid), message);

const isWebAddress = (value: string) => /^https?:\/\//.test(value) && URL.canParse(value);
const webAddress = z.string().refine(isWebAddress, 'must be an http or https URL');

const methods = ['ocsp', 'crl'] as const;
const noMethod = 'must be ocsp, crl or both';
type Method = (typeof methods)[number];
const isMethod = (word: string): word is Method => (methods as readonly string[]).includes(word);

/** How client certificates are checked for revocation. */
export const revocationSettings = {
  revocationMode: setting({
    variable: 'COUNTERSIGN_REVOCATION',
    type: oneOf(['closed', 'open', 'off']),
    fallback: 'closed',
    sentence:
      'What happens to a client certificate whose status can not be learnt: `closed` refuses it, `open` accepts it with a warning; `off` never asks.',
  }),
  revocationMethods: setting({
    variable: 'COUNTERSIGN_REVOCATION_METHODS',
    type: list(isMethod, noMethod)
      .transform((words) => words.filter(isMethod))
      .refine((words) => words.length > 0, noMethod),
    fallback: 'ocsp,crl',
    sentence:
      'How the status is learnt, in this order: OCSP responders, revocation lists. The next one is asked when one does not know.',
  }),
  revocationWithoutSource: setting({
    variable: 'COUNTERSIGN_REVOCATION_WITHOUT_SOURCE',
    type: oneOf(['accept', 'refuse']).optional(),
    sentence:
      'A certificate that names neither list nor responder, while no list is configured for its issuer: `accept` or `refuse`; `accept` in development and `refuse` in production when not set.',
  }),
  revocationFromCertificate: setting({
    variable: 'COUNTERSIGN_REVOCATION_FROM_CERTIFICATE',
    type: flag,
    fallback: 'true',
    sentence: 'Whether the lists and responders are asked that trusted certificates name.',
  }),
  revocationListFiles: setting({
    variable: 'COUNTERSIGN_CRL_FILES',
    type: list(() => true, ''),
    fallback: '',
    sentence:
      'Paths of revocation lists (DER or PEM), separated by commas; read again when they change.',
  }),
  revocationListUrls: setting({
    variable: 'COUNTERSIGN_CRL_URLS',
    type: list(isWebAddress, 'must be http or https URLs'),
    fallback: '',
    sentence: 'Addresses of revocation lists, separated by commas.',
  }),
  ocspUrl: setting({
    variable: 'COUNTERSIGN_OCSP_URL',
    type: webAddress.optional(),
    sentence: 'The one OCSP responder that is asked, instead of those that certificates name.',
  }),
  revocationCeilingSeconds: setting({
    variable: 'COUNTERSIGN_REVOCATION_CEILING',
    type: whole(60, 86_400),
    fallback: '3600',
    unit: 's',
    sentence:
      'How long a list or an answer is used at most before it is fetched again, also when it holds longer: the longest time that a revocation takes to be seen.',
  }),
  revocationTimeoutMs: setting({
    variable: 'COUNTERSIGN_REVOCATION_TIMEOUT_MS',
    type: whole(100, 60_000),
    fallback: '5000',
    unit: 'ms',
    sentence: 'How long fetching a list or asking a responder may take.',
  }),
} as const;
