import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  X509Certificate,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { secondsFromNow, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  bitString,
  buildCertificate,
  derTrue,
  keyIdentifier,
  objectIdentifier,
  type CertificateExtension,
} from '../../src/development/certificate-builder.ts';
import { subjectElement } from '../../src/tls/certificate-fields.ts';
import { parseDistinguishedName } from '../../src/tls/names/distinguished-name-text.ts';
import { encodeDistinguishedName } from '../../src/tls/names/distinguished-name.ts';
import { derTag, writeDer } from '../../src/tls/der.ts';

/** What an intermediate authority's certificate says; in order unless told. */
export interface IntermediateOptions {
  readonly subject?: string;
  /** How many authorities may stand below it. */
  readonly pathLength?: number;
  readonly isAuthority?: boolean;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Dotted identifiers. */
  readonly extendedKeyUsage?: readonly string[];
  readonly further?: readonly CertificateExtension[];
  /** A key pair that another certificate has as well. */
  readonly keys?: { publicKey: KeyObject; privateKey: KeyObject };
}

/** A new EC key pair. */
export function newKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** An authority below `parent`. */
export function intermediate(
  parent: IssuedCertificate,
  options: IntermediateOptions = {},
): IssuedCertificate {
  const { publicKey, privateKey } = options.keys ?? newKeys();
  const signingKey = createPrivateKey(parent.privateKeyPem);
  const certificatePem = buildCertificate(
    {
      subject: encodeDistinguishedName(parseDistinguishedName(options.subject ?? 'CN=Issuing CA')),
      issuer: subjectElement(new X509Certificate(parent.certificatePem).raw).raw,
      publicKey,
      notBefore: options.notBefore ?? secondsFromNow(systemClock, -60),
      notAfter: options.notAfter ?? secondsFromNow(systemClock, 86_400),
      extensions: [
        basicConstraints(options),
        { id: '2.5.29.15', critical: true, value: bitString(Buffer.from([0b0000_0110]), 1) },
        {
          id: '2.5.29.14',
          critical: false,
          value: writeDer(derTag.octetString, keyIdentifier(publicKey)),
        },
        {
          id: '2.5.29.35',
          critical: false,
          value: writeDer(
            derTag.sequence,
            writeDer(0x80, keyIdentifier(createPublicKey(signingKey))),
          ),
        },
        ...usage(options.extendedKeyUsage),
        ...(options.further ?? []),
      ],
    },
    signingKey,
  );
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificatePem, privateKeyPem };
}

function basicConstraints({ pathLength, isAuthority = true }: IntermediateOptions) {
  const length =
    pathLength === undefined ? [] : [writeDer(derTag.integer, Buffer.from([pathLength]))];
  const content = isAuthority ? [derTrue, ...length] : [];
  return { id: '2.5.29.19', critical: true, value: writeDer(derTag.sequence, ...content) };
}

function usage(purposes: readonly string[] = []): CertificateExtension[] {
  if (purposes.length === 0) return [];
  const value = writeDer(derTag.sequence, ...purposes.map(objectIdentifier));
  return [{ id: '2.5.29.37', critical: false, value }];
}

/** A GeneralName for a constraint: its context tag and content. */
export type Base = readonly [tag: number, content: Buffer | string];

/** The nameConstraints extension (RFC 5280 §4.2.1.10). */
export function nameConstraints(names: {
  permitted?: readonly Base[];
  excluded?: readonly Base[];
}): CertificateExtension {
  const subtrees = (tag: number, bases: readonly Base[] = []) =>
    bases.length === 0
      ? []
      : [
          writeDer(
            tag,
            ...bases.map(([kind, content]) =>
              writeDer(derTag.sequence, writeDer(kind, Buffer.from(content))),
            ),
          ),
        ];
  const value = writeDer(
    derTag.sequence,
    ...subtrees(0xa0, names.permitted),
    ...subtrees(0xa1, names.excluded),
  );
  return { id: '2.5.29.30', critical: true, value };
}
