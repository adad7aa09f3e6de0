import type { KeyObject, X509Certificate } from 'node:crypto';

/** The period of a certificate; both moments belong to it. */
export type Validity = Pick<X509Certificate, 'validFromDate' | 'validToDate'>;

/** That a certificate is not valid at `now`, in words; none when it is. */
export function validityDefects({ validFromDate, validToDate }: Validity, now: Date): string[] {
  if (now < validFromDate) return [`not valid before ${validFromDate.toISOString()}`];
  if (now > validToDate) return [`expired at ${validToDate.toISOString()}`];
  return [];
}

const clientAuthId = '1.3.6.1.5.5.7.3.2';

/** That a certificate names purposes, and clients' authentication is not among them. */
export function purposeDefects(certificate: X509Certificate): string[] {
  // @types/node says string[], but Node gives undefined when the extension is absent.
  const purposes = certificate.keyUsage as readonly string[] | undefined;
  if (purposes === undefined || purposes.includes(clientAuthId)) return [];
  return [`the extended key usage ${purposes.join(' ')} does not include clientAuth`];
}

const minRsaBits = 2048;
/** Curves of 224 bits or more (FAPI 2.0 §5.4.1) by the names that Node gives them. */
const acceptedCurves: ReadonlySet<string> = new Set([
  'secp224r1',
  'prime256v1',
  'secp256k1',
  'secp384r1',
  'secp521r1',
  'brainpoolP256r1',
  'brainpoolP384r1',
  'brainpoolP512r1',
]);

/** That a key is too weak or of a kind that is not accepted. */
export function keyDefects({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): string[] {
  const { modulusLength = 0, namedCurve = 'unnamed' } = asymmetricKeyDetails;
  switch (asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      return modulusLength >= minRsaBits ? [] : [`the RSA key has ${String(modulusLength)} bits`];
    case 'ec':
      return acceptedCurves.has(namedCurve) ? [] : [`the curve ${namedCurve} is not accepted`];
    case 'ed25519':
      return [];
    default:
      return [`keys of type ${String(asymmetricKeyType)} are not accepted`];
  }
}
