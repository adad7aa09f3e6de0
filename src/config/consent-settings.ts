import { flag, optionalText, setting, whole } from './setting.ts';

/** Consents as objects of their own (docs/consents.md). */
export const consentSettings = {
  consentsResource: setting({
    variable: 'COUNTERSIGN_CONSENTS_RESOURCE',
    type: optionalText,
    sentence:
      'The resource server whose client-credentials tokens open the consent APIs; COUNTERSIGN_DEFAULT_RESOURCE where it is not set, and in development then the sample API.',
  }),
  consentsRequired: setting({
    variable: 'COUNTERSIGN_CONSENTS_REQUIRED',
    type: flag,
    fallback: 'false',
    sentence:
      'Whether the scopes accounts, payments and fundsconfirmations are given under a consent only, and a request that names none is refused.',
  }),
  accountsUrl: setting({
    variable: 'COUNTERSIGN_ACCOUNTS_URL',
    type: optionalText,
    sentence:
      'Where the bank’s core tells which accounts a customer has (docs/consents.md); its host must be public or be in COUNTERSIGN_OUTBOUND_ALLOW. In development made up where it is not set.',
  }),
  accountsCertificate: setting({
    variable: 'COUNTERSIGN_ACCOUNTS_CERTIFICATE',
    type: optionalText,
    sentence: 'The certificate that we show to the core, with its chain, PEM.',
  }),
  accountsPrivateKey: setting({
    variable: 'COUNTERSIGN_ACCOUNTS_PRIVATE_KEY',
    type: optionalText,
    secret: true,
    sentence: 'The private key of that certificate, PEM.',
  }),
  accountsTimeoutMs: setting({
    variable: 'COUNTERSIGN_ACCOUNTS_TIMEOUT',
    type: whole(100, 30_000),
    fallback: '3000',
    unit: 'milliseconds',
    sentence: 'How long a customer waits for the core.',
  }),
} as const;
