import type { X509Certificate } from 'node:crypto';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { bounds } from '../bounds.ts';
import { Problem } from '../problem.ts';
import { extensionValue } from './certificate-fields.ts';
import { readDer } from './der.ts';
import { distinguishedNameOf } from './names/distinguished-name.ts';

/** What a payment service provider may be (ETSI TS 119 495 §4.2): account servicing, initiation, information, card issuing. */
export type Psd2Role = 'PSP_AS' | 'PSP_PI' | 'PSP_AI' | 'PSP_IC';

/** What a qualified certificate says of a payment service provider. */
export interface Psd2 {
  /** In the certificate's order, without duplicates; roles of later versions that we don't know are left out. */
  readonly roles: readonly Psd2Role[];
  /** The national competent authority in words, and as `<country>-<authority>`, `GB-FCA` for instance. */
  readonly ncaName: string;
  readonly ncaId: string;
  /** The subject's organizationIdentifier as it stands there. */
  readonly organizationIdentifier?: string;
  /** The last part of an identifier of the form `PSD<country>-<authority>-<number>`. */
  readonly authorizationNumber?: string;
  /** What it is for (ETSI EN 319 412-5 §4.2.3): `web` is a QWAC, `eseal` a QSealC. */
  readonly types: readonly QcType[];
}

export type QcType = 'esign' | 'eseal' | 'web';

/**
 * Reads the PSD2 statement of a certificate (ETSI TS 119 495 §5.1); undefined when there is none. Whether the issuer is
 * one that may make it is for the truststore. Problem('certificate_invalid') for a statement that is malformed,
 * there twice, or names a role by one identifier and calls it another.
 */
export function readPsd2(certificate: X509Certificate): Psd2 | undefined {
  const statements = statementsOf(certificate.raw);
  const information = statements.get(psd2Id);
  if (information === undefined) return undefined;
  const [roles, ncaName, ncaId, extra] = membersOf(information);
  if (extra !== undefined) throw malformed('the PSD2 statement has more than three members');
  const organizationIdentifier = organizationIdentifierOf(certificate);
  const authorizationNumber = psdForm.exec(organizationIdentifier ?? '')?.[1];
  return {
    roles: readRoles(roles),
    ncaName: readText(ncaName),
    ncaId: readText(ncaId),
    ...(organizationIdentifier !== undefined && { organizationIdentifier }),
    ...(authorizationNumber !== undefined && { authorizationNumber }),
    types: readTypes(statements.get(qcTypeId)),
  };
}

/**
 * The roles of a QWAC, which alone says who is at the other end of a connection; none of a certificate for seals or
 * signatures, or of unstated purpose. Problem('certificate_invalid') as {@link readPsd2}.
 */
export function qwacRoles(certificate: X509Certificate): readonly Psd2Role[] {
  const psd2 = readPsd2(certificate);
  return psd2?.types.includes('web') === true ? psd2.roles : [];
}

const qcStatementsId = '1.3.6.1.5.5.7.1.3';
const psd2Id = '0.4.0.19495.2';
const qcTypeId = '0.4.0.1862.1.6';
const organizationIdentifierId = '2.5.4.97';

const rolesById: Readonly<Partial<Record<string, Psd2Role>>> = {
  '0.4.0.19495.1.1': 'PSP_AS',
  '0.4.0.19495.1.2': 'PSP_PI',
  '0.4.0.19495.1.3': 'PSP_AI',
  '0.4.0.19495.1.4': 'PSP_IC',
};
const typesById: Readonly<Partial<Record<string, QcType>>> = {
  '0.4.0.1862.1.6.1': 'esign',
  '0.4.0.1862.1.6.2': 'eseal',
  '0.4.0.1862.1.6.3': 'web',
};

/** ETSI TS 119 495 §5.2.1: country, authority of two to eight letters, and its own number. */
const psdForm = /^PSD[A-Z]{2}-[A-Z]{2,8}-(.{1,128})$/;

/** Real certificates have four roles at most. */
const maxMembers = 32;
const maxTextLength = 256; // the size that the ASN.1 module gives to names

/** Statement identifier → its information, null without any. */
function statementsOf(certificate: Buffer): Map<string, unknown> {
  const extension = extensionValue(certificate, qcStatementsId);
  const statements = new Map<string, unknown>();
  if (extension === undefined) return statements;
  if (extension.length > bounds.certificates.maxStatementBytes)
    throw malformed('there are too many statements');
  readDer(extension); // pkijs would let bytes pass that follow the value
  for (const { id, type } of parse(extension).values) {
    if (statements.has(id)) throw malformed(`the statement ${id} is there twice`);
    statements.set(id, type ?? null);
  }
  return statements;
}

function parse(extension: Buffer): pkijs.QCStatements {
  try {
    return pkijs.QCStatements.fromBER(extension);
  } catch (cause) {
    throw malformed('pkijs can not read them', cause);
  }
}

function readRoles(value: unknown): Psd2Role[] {
  const roles = membersOf(value).flatMap((entry) => {
    const [id, name, extra] = membersOf(entry);
    if (extra !== undefined) throw malformed('a role has more than two members');
    const role = rolesById[readId(id)];
    const called = readText(name);
    if (role !== undefined && called !== role) throw malformed(`${role} is called ${called}`);
    return role ?? [];
  });
  return [...new Set(roles)];
}

function readTypes(value: unknown): QcType[] {
  if (value === undefined) return [];
  return membersOf(value).flatMap((id) => typesById[readId(id)] ?? []);
}

function membersOf(value: unknown): unknown[] {
  if (!(value instanceof asn1js.Sequence)) throw malformed('a sequence is missing');
  const members: unknown[] = value.valueBlock.value;
  if (members.length > maxMembers) throw malformed('a sequence is too long');
  return members;
}

function readId(value: unknown): string {
  if (value instanceof asn1js.ObjectIdentifier) return value.getValue();
  throw malformed('an object identifier is missing');
}

function readText(value: unknown): string {
  if (!(value instanceof asn1js.Utf8String)) throw malformed('a name is missing');
  const text = decode(value.valueBlock.valueHexView);
  if (text !== '' && text.length <= maxTextLength && !/\p{C}/u.test(text)) return text;
  throw malformed('a name is empty, too long or holds control characters');
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw malformed('a name is not UTF-8', cause);
  }
}

function organizationIdentifierOf(certificate: X509Certificate): string | undefined {
  const found = distinguishedNameOf(certificate)
    .flat()
    .filter(({ type }) => type === organizationIdentifierId);
  if (found.length > 1) throw malformed('the subject has two organization identifiers');
  const [attribute] = found;
  return attribute !== undefined && 'text' in attribute ? attribute.text : undefined;
}

function malformed(why: string, cause?: unknown): Problem {
  return new Problem('certificate_invalid', {
    detail: `The qualified certificate statements are malformed: ${why}.`,
    cause,
  });
}
