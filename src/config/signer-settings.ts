import { z } from 'zod';
import { oneOf, optionalText, setting, text, whole } from './setting.ts';

/** An https address, to which paths are added. */
const httpsUrl = z
  .string()
  .refine((value) => {
    const url = URL.parse(value);
    return (
      url?.protocol === 'https:' && url.search === '' && url.hash === '' && url.username === ''
    );
  }, 'must be an https address such as https://vault.bank.example/v1/transit')
  .transform((value) => value.replace(/\/+$/, ''));

/** Where the private parts of signing keys are, and who signs with them. */
export const signerSettings = {
  keySigner: setting({
    variable: 'COUNTERSIGN_KEY_SIGNER',
    type: oneOf(['sealed', 'pkcs11', 'remote']),
    fallback: 'sealed',
    sentence:
      'Where new signing keys are made: sealed in the database, in an HSM (PKCS #11), or at a key service.',
  }),
  signerTimeoutMs: setting({
    variable: 'COUNTERSIGN_SIGNER_TIMEOUT',
    type: whole(50, 10_000),
    fallback: '2000',
    unit: 'ms',
    sentence: 'How long a signature of the HSM or key service may take, and wait for its turn.',
  }),
  signerConcurrency: setting({
    variable: 'COUNTERSIGN_SIGNER_CONCURRENCY',
    type: whole(1, 256),
    fallback: '16',
    sentence: 'Signatures that a process asks of the HSM or key service at the same time.',
  }),
  pkcs11Library: setting({
    variable: 'COUNTERSIGN_PKCS11_LIBRARY',
    type: optionalText,
    sentence: 'Path of the PKCS #11 library of the HSM.',
  }),
  pkcs11Token: setting({
    variable: 'COUNTERSIGN_PKCS11_TOKEN',
    type: optionalText,
    sentence: 'Label of the token in the HSM.',
  }),
  pkcs11Pin: setting({
    variable: 'COUNTERSIGN_PKCS11_PIN',
    type: optionalText,
    secret: true,
    sentence: "The user's PIN of that token.",
  }),
  signerUrl: setting({
    variable: 'COUNTERSIGN_SIGNER_URL',
    type: httpsUrl.optional(),
    sentence: "Address of a key service that speaks as Vault's transit engine, with its path.",
  }),
  signerToken: setting({
    variable: 'COUNTERSIGN_SIGNER_TOKEN',
    type: optionalText,
    secret: true,
    sentence:
      'Access token for the key service; its file is read again when the service refuses it.',
  }),
  signerKeyPrefix: setting({
    variable: 'COUNTERSIGN_SIGNER_KEY_PREFIX',
    type: text.regex(/^[\w-]{1,64}$/, 'must be letters, digits, _ and -'),
    fallback: 'countersign',
    sentence: 'What the names of the keys at the key service begin with; one an installation.',
  }),
  signerTruststore: setting({
    variable: 'COUNTERSIGN_SIGNER_TRUSTSTORE',
    type: optionalText,
    sentence: 'PEM authorities of the key service, besides the usual ones.',
  }),
  signerCertificate: setting({
    variable: 'COUNTERSIGN_SIGNER_CERTIFICATE',
    type: optionalText,
    sentence: 'Client certificate (PEM) for the key service.',
  }),
  signerPrivateKey: setting({
    variable: 'COUNTERSIGN_SIGNER_PRIVATE_KEY',
    type: optionalText,
    secret: true,
    sentence: "That certificate's private key (PEM).",
  }),
} as const;
