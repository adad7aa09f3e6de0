import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { secondsFromNow, type Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { subjectElement } from '../tls/certificate-fields.ts';
import { parseDistinguishedName } from '../tls/names/distinguished-name-text.ts';
import {
  encodeDistinguishedName,
  type DistinguishedName,
} from '../tls/names/distinguished-name.ts';
import { buildCertificate, type CertificateExtension } from './certificate-builder.ts';
import {
  authorityExtensions,
  extendedKeyUsages,
  leafExtensions,
  subjectAlternativeName,
} from './certificate-extensions.ts';

/** The subject of the authority that `npm start` makes; production refuses whatever it issued. */
export const developmentAuthorityName = 'CN=Countersign development CA';

/** A certificate and its private key (PKCS #8), both PEM. */
export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** EC P-256 unless told. */
export type CertificateKeyType = 'ec' | 'rsa';

/** A self-signed authority for ten years. `commonName` is for tests that need an unmarked one. */
export async function createCertificateAuthority(options: {
  readonly clock: Clock;
  readonly commonName?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}): Promise<IssuedCertificate> {
  const keys = await newKeyPair('ec');
  const subject = encodeDistinguishedName(
    options.commonName === undefined
      ? parseDistinguishedName(developmentAuthorityName)
      : [[{ type: commonNameId, text: options.commonName }]],
  );
  const content = {
    subject,
    issuer: subject,
    publicKey: keys.publicKey,
    ...validity(options, authorityDays),
    extensions: authorityExtensions(keys.publicKey),
  };
  return issued(buildCertificate(content, keys.privateKey), keys.privateKey);
}

/** A server certificate for host names and IP addresses; 397 days, the most that browsers take. */
export async function issueServerCertificate(
  authority: IssuedCertificate,
  options: {
    readonly hostnames: readonly [string, ...string[]];
    readonly clock: Clock;
    readonly keyType?: CertificateKeyType;
  },
): Promise<IssuedCertificate> {
  const [commonName] = options.hostnames;
  return issueLeaf(authority, {
    ...options,
    name: [[{ type: commonNameId, text: commonName }]],
    days: serverDays,
    purposes: [extendedKeyUsages.serverAuth],
    extensions: subjectAlternativeName({
      dns: options.hostnames.filter((name) => isIP(name) === 0),
      ip: options.hostnames.filter((name) => isIP(name) !== 0),
    }),
  });
}

/** What a client certificate says. */
export interface ClientCertificateOptions {
  /** RFC 4514 text, or the name itself. */
  readonly subject: string | DistinguishedName;
  readonly clock: Clock;
  readonly sanDns?: readonly string[];
  readonly sanUri?: readonly string[];
  readonly sanEmail?: readonly string[];
  readonly sanIp?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Dotted identifiers; clientAuth unless given, no such extension when empty. */
  readonly extendedKeyUsage?: readonly string[];
  readonly keyType?: CertificateKeyType;
  /** Further extensions: where revocation is told, what a qualified certificate states. */
  readonly extensions?: readonly CertificateExtension[];
}

/**
 * A client certificate for 825 days, signed by `authority`, or by its own key when that is
 * undefined. Throws Problem('client_invalid') for a malformed subject.
 */
export async function issueClientCertificate(
  authority: IssuedCertificate | undefined,
  options: ClientCertificateOptions,
): Promise<IssuedCertificate> {
  const { subject } = options;
  return issueLeaf(authority, {
    ...options,
    name: typeof subject === 'string' ? parseDistinguishedName(subject) : subject,
    days: clientDays,
    purposes: options.extendedKeyUsage ?? [extendedKeyUsages.clientAuth],
    extensions: [
      ...subjectAlternativeName({
        dns: options.sanDns ?? [],
        uri: options.sanUri ?? [],
        email: options.sanEmail ?? [],
        ip: options.sanIp ?? [],
      }),
      ...(options.extensions ?? []),
    ],
  });
}

/**
 * Whether any certificate in the PEM text is the development authority or was issued by it.
 * Throws Problem('certificate_invalid') when there is none or one cannot be read.
 */
export function isDevelopmentCertificate(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) {
    throw new Problem('certificate_invalid', { detail: 'There is no certificate in the text.' });
  }
  return blocks.some((block) => {
    try {
      const { subject, issuer } = new X509Certificate(block);
      return subject === developmentAuthorityName || issuer === developmentAuthorityName;
    } catch (cause) {
      throw new Problem('certificate_invalid', { detail: 'A certificate is broken.', cause });
    }
  });
}

const commonNameId = '2.5.4.3';
const authorityDays = 3650;
const clientDays = 825;
const serverDays = 397;
const secondsPerDay = 86_400;
/** Clocks of test machines differ; a certificate that is valid "from now" is not yet valid there. */
const backdateSeconds = 60;

interface LeafOptions {
  readonly name: DistinguishedName;
  readonly clock: Clock;
  readonly days: number;
  readonly purposes: readonly string[];
  readonly extensions: readonly CertificateExtension[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly keyType?: CertificateKeyType;
}

async function issueLeaf(
  authority: IssuedCertificate | undefined,
  options: LeafOptions,
): Promise<IssuedCertificate> {
  const { publicKey, privateKey } = await newKeyPair(options.keyType ?? 'ec');
  const subject = encodeDistinguishedName(options.name);
  const signingKey =
    authority === undefined ? privateKey : createPrivateKey(authority.privateKeyPem);
  const content = {
    subject,
    issuer: authority === undefined ? subject : subjectOf(authority),
    publicKey,
    ...validity(options, options.days),
    extensions: [
      ...leafExtensions(publicKey, createPublicKey(signingKey), options.purposes),
      ...options.extensions,
    ],
  };
  return issued(buildCertificate(content, signingKey), privateKey);
}

function subjectOf({ certificatePem }: IssuedCertificate): Buffer {
  return subjectElement(new X509Certificate(certificatePem).raw).raw;
}

function validity(
  { clock, notBefore, notAfter }: Pick<LeafOptions, 'clock' | 'notBefore' | 'notAfter'>,
  days: number,
): { notBefore: Date; notAfter: Date } {
  const start = notBefore ?? secondsFromNow(clock, -backdateSeconds);
  const lifetimeSeconds = days * secondsPerDay;
  return {
    notBefore: start,
    notAfter: notAfter ?? secondsFromNow({ now: () => start }, lifetimeSeconds - 1),
  };
}

const generateKeys = promisify(generateKeyPair);

function newKeyPair(
  type: CertificateKeyType,
): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return type === 'ec'
    ? generateKeys('ec', { namedCurve: 'P-256' })
    : generateKeys('rsa', { modulusLength: 2048 });
}

function issued(certificatePem: string, privateKey: KeyObject): IssuedCertificate {
  return {
    certificatePem,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
