import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import {
  certificateSubjectMatches,
  explainSubjectMismatch,
} from '../../tls/names/certificate-subject.ts';
import type { CertificateSubjectProperty } from '../../tls/names/certificate-subject.ts';
import { certificateRuleFaults, subjectText } from './certificate-rule.ts';
import { redirectFaults } from '../client.ts';
import type { ClientMetadata } from '../client.ts';
import { parseClientMetadata } from '../client-metadata.ts';
import type { Fetch } from './key-set.ts';
import type { SecurityProfile } from '../profiles.ts';
import { addressFaults } from './registration-addresses.ts';
import { basisOf } from './registration-basis.ts';
import type { Judged } from './registration-basis.ts';
import { envelopeFaults, readBody, requestSignatureFaults } from './registration-body.ts';
import { identifierFaults, readAsked, updateFaults } from './registration-metadata.ts';
import type { PresentedCertificate, RolesOfCertificate } from './registration-ports.ts';
import type { Accepted, Examination, RegistrationRequest } from './registration-request.ts';
import {
  detailTypeFaults,
  fault,
  keyFaults,
  metadataFor,
  permissionsFor,
  redirectUriFaults,
} from './registration.ts';
import type { Asked, Basis, Fault } from './registration.ts';
import type { Permissions } from './directory.ts';
import type { StatementJudge } from './software-statement.ts';

/** What the examination stands on. */
export interface ExaminationDependencies {
  /** The audience of signed requests. */
  issuer: string;
  judgeStatement: StatementJudge;
  rolesOfCertificate: RolesOfCertificate;
  minimumProfile: SecurityProfile;
  fetch: Fetch;
  clock: Clock;
}

/**
 * Examines a registration (RFC 7591 §3) without writing anything, and tells all that would be refused. Servers of others
 * are asked only by what is vouched for: the directory's keys, and then the addresses in a verified statement.
 */
export function createExamination(deps: ExaminationDependencies) {
  return async function examine(request: RegistrationRequest): Promise<Examination> {
    const ofCertificate = certificateFaults(request.certificate);
    const read = readBody(request.body);
    if ('fault' in read) return { faults: [...ofCertificate, read.fault], facts: {} };
    const judged = await basisOf(read.members, request, deps);
    const { directory, softwareId } = judged.origin;
    const faults = [
      ...ofCertificate,
      ...judged.faults,
      ...(await signedRequestFaults(read, { request, judged, deps })),
      ...identifiers(read.members, request, judged),
    ];
    const found = await judgeMetadata(read.members, { request, judged, deps });
    const all = [...faults, ...found.faults];
    const facts = { directory, softwareId };
    if (all.length > 0 || found.accepted === undefined) return { faults: all, facts };
    return { faults: [], facts, accepted: found.accepted };
  };
}

/** The examination of requests. */
export type Examine = ReturnType<typeof createExamination>;

/** What speaks against the certificate of a request. */
export function certificateFaults(presented: PresentedCertificate | undefined): Fault[] {
  if (presented === undefined) return [fault('invalid_token', 'no client certificate')];
  const { refusal } = presented;
  return refusal === undefined ? [] : [fault('invalid_token', `the certificate: ${refusal}`)];
}

interface Step {
  request: RegistrationRequest;
  judged: Judged;
  deps: ExaminationDependencies;
}

type Members = Readonly<Record<string, unknown>>;

/** UK DCR 3.3: the software signs its request with a key that its statement names. */
async function signedRequestFaults(
  { members, header = {} }: { members: Members; header?: Members },
  { request, judged, deps }: Step,
): Promise<Fault[]> {
  const { type, text } = request.body;
  const { directory, basis } = judged;
  if (directory !== undefined && directory.body !== 'either' && directory.body !== type) {
    const detail = `the request is ${type}, ${directory.issuer} wants ${directory.body}`;
    return [fault('invalid_client_metadata', detail)];
  }
  if (type === 'json') return [];
  const statement = basis?.statement;
  if (directory === undefined || statement === undefined) {
    return [fault('invalid_client_metadata', 'a signed request needs a software statement')];
  }
  const { issuer: audience, clock } = deps;
  const expected = { softwareId: statement.softwareId, audience, clock, header };
  const faults = envelopeFaults(members, expected);
  if (!judged.isVerified) return faults;
  return [...faults, ...(await requestSignatureFaults(text, { statement, directory }, deps.fetch))];
}

function identifiers(members: Members, request: RegistrationRequest, judged: Judged): Fault[] {
  const isUpdate = request.registered !== undefined;
  const known = {
    clientId: isUpdate ? request.clientId : undefined,
    softwareId: judged.basis?.statement?.softwareId,
  };
  const ofUpdate = isUpdate ? updateFaults(members, { isSigned: request.body.type === 'jwt' }) : [];
  return [...identifierFaults(members, known), ...ofUpdate];
}

async function judgeMetadata(
  members: Members,
  step: Step,
): Promise<{ faults: readonly Fault[]; accepted?: Accepted }> {
  const { basis } = step.judged;
  const read = readAsked(members);
  if ('faults' in read) return read;
  if (basis === undefined) return { faults: [] };
  const { asked } = read;
  const permitted = permissionsFor(asked, basis);
  const checked = checkedMetadata(asked, basis, step);
  const faults = [
    ...checked.faults,
    ...keyFaults(asked, basis),
    ...permitted.faults,
    ...detailTypeFaults(asked, permitted.permissions),
    ...certificateOfSoftwareFaults(checked.metadata, step),
  ];
  const { metadata } = checked;
  if (metadata === undefined || faults.length > 0 || !step.judged.isVerified) return { faults };
  const ofAddresses = await addressFaults(metadata, step.deps.fetch, {
    isLocalAllowed: basis.localRedirectUris === true,
  });
  if (ofAddresses.length > 0) return { faults: ofAddresses };
  const accepted = acceptedAs(metadata, permitted.permissions, { ...step, members });
  return { faults: [], accepted };
}

/** Stands for redirect URIs that are refused already, so that the rest can be judged. */
const standIn = 'https://refused.invalid/';

function checkedMetadata(
  asked: Asked,
  basis: Basis,
  { request, deps }: Step,
): { faults: Fault[]; metadata?: ClientMetadata } {
  const subject =
    request.certificate === undefined ? '' : subjectText(request.certificate.certificate);
  const draft = { ...metadataFor(asked, basis, subject), client_id: request.clientId };
  const ofForm = asked.redirectUris === undefined ? [] : redirectFaults(redirectsOf(asked));
  const redirects = [
    ...ofForm.map((detail) => fault('invalid_redirect_uri', detail)),
    ...redirectUriFaults(asked, basis),
  ];
  try {
    const uris = ofForm.length > 0 ? { redirect_uris: [standIn] } : {};
    const { minimumProfile } = deps;
    const metadata = parseClientMetadata({ ...draft, ...uris }, { minimumProfile });
    return { faults: redirects, metadata };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const detail = error.detail ?? error.message;
    return { faults: [...redirects, fault('invalid_client_metadata', detail)] };
  }
}

/** The members that the rule about redirect URIs looks at; of the others it knows the form. */
function redirectsOf({ redirectUris = [], members }: Asked) {
  const grants = members['grant_types'];
  const isCode =
    grants === undefined || (Array.isArray(grants) && grants.includes('authorization_code'));
  return { redirect_uris: redirectUris, grant_types: isCode ? ['authorization_code'] : [] };
}

const properties: readonly CertificateSubjectProperty[] = [
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
];

/** The certificate must be the software's by the directory's rules, and the one that the client will authenticate by. */
function certificateOfSoftwareFaults(
  metadata: ClientMetadata | undefined,
  { request, judged }: Step,
): Fault[] {
  if (request.certificate === undefined) return [];
  const { certificate } = request.certificate;
  const { directory, claims } = judged;
  const ofRules =
    directory === undefined
      ? []
      : certificateRuleFaults(certificate, directory.certificate, claims);
  const ofNames = properties.flatMap((property) => {
    const expected = metadata?.[property];
    if (typeof expected !== 'string') return [];
    if (certificateSubjectMatches(certificate, property, expected)) return [];
    return [explainSubjectMismatch(certificate, property, expected)];
  });
  return [
    ...ofRules.map((detail) => fault('unapproved_software_statement', detail)),
    ...ofNames.map((detail) => fault('invalid_client_metadata', detail)),
  ];
}

function acceptedAs(
  metadata: ClientMetadata,
  permissions: Permissions,
  { request, judged, members }: Step & { members: Members },
): Accepted {
  const { certificate } = request;
  const { softwareId = '' } = judged.origin;
  const { jti, exp, software_statement: statement } = members;
  return {
    metadata,
    permissions,
    certificateSubject: certificate === undefined ? '' : subjectText(certificate.certificate),
    origin: judged.origin,
    softwareStatement: typeof statement === 'string' ? statement : undefined,
    once:
      request.body.type === 'jwt'
        ? { identifier: `${softwareId} ${String(jti)}`, expiresAt: new Date(Number(exp) * 1000) }
        : undefined,
  };
}
