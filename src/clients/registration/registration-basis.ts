import { Problem } from '../../problem.ts';
import { permissionsOfRoles, permittedByBoth } from './directory.ts';
import type { Directory, Permissions } from './directory.ts';
import { stricterProfile } from '../profiles.ts';
import type { RolesOfCertificate } from './registration-ports.ts';
import type { Fixed, Origin, RegistrationRequest } from './registration-request.ts';
import { fault } from './registration.ts';
import type { Basis, Fault } from './registration.ts';
import type { SoftwareStatement } from './software-statement-metadata.ts';
import type { JudgedStatement, StatementJudge } from './software-statement.ts';

/** What a client may become by its statement or its operator, and whether that is to be believed. */
export interface Judged {
  basis?: Basis;
  directory?: Directory;
  /** All claims of the statement. */
  claims: Readonly<Record<string, unknown>>;
  origin: Origin;
  isVerified: boolean;
  faults: readonly Fault[];
}

interface Dependencies {
  judgeStatement: StatementJudge;
  rolesOfCertificate: RolesOfCertificate;
}

/** Finds out what a request stands on: its software statement, or what an operator fixed. */
export async function basisOf(
  { software_statement: statement }: Readonly<Record<string, unknown>>,
  request: RegistrationRequest,
  deps: Dependencies,
): Promise<Judged> {
  if (request.fixed !== undefined) return fixedBasis(request.fixed, statement);
  if (typeof statement !== 'string') {
    const faults = [fault('invalid_software_statement', 'there is no software statement')];
    return { claims: {}, origin: { onePerSoftware: false }, isVerified: false, faults };
  }
  return statementBasis(await deps.judgeStatement(statement), request, deps);
}

function fixedBasis(
  { permissions, profile, identityScopes = [] }: Fixed,
  statement: unknown,
): Judged {
  const detail = 'a software statement is not looked at beside an initial access token';
  return {
    basis: { permissions, profile, identityScopes, keysByValue: true },
    claims: {},
    origin: { onePerSoftware: false },
    isVerified: true,
    faults: statement === undefined ? [] : [fault('unapproved_software_statement', detail)],
  };
}

function statementBasis(
  { directory, statement, claims, isVerified, faults }: JudgedStatement,
  request: RegistrationRequest,
  deps: Dependencies,
): Judged {
  if (directory === undefined || statement === undefined) {
    const origin = { directory: directory?.issuer, onePerSoftware: false };
    return { claims, origin, isVerified, faults };
  }
  const { softwareId, organisationId } = statement;
  const { issuer, onePerSoftware } = directory;
  const profile = stricterProfile(directory.profile, request.registered?.profile ?? 'baseline');
  const roles = permitted(directory, statement, rolesOf(request, deps));
  return {
    basis: { ...directory, permissions: roles.permissions, profile, statement },
    directory,
    claims,
    origin: { directory: issuer, softwareId, organisationId, onePerSoftware },
    isVerified,
    faults: [...faults, ...roles.faults, ...movedFaults({ issuer, softwareId }, request)],
  };
}

function rolesOf(
  { certificate }: RegistrationRequest,
  deps: Dependencies,
): () => readonly string[] {
  return () => {
    if (certificate === undefined) return [];
    try {
      return deps.rolesOfCertificate(certificate.certificate);
    } catch (error) {
      if (error instanceof Problem) return []; // an unreadable statement permits nothing
      throw error;
    }
  };
}

function permitted(
  directory: Directory,
  { roles }: SoftwareStatement,
  certificateRoles: () => readonly string[],
): { permissions: Permissions; faults: Fault[] } {
  const { rolesFrom } = directory;
  const ofStatement = permissionsOfRoles(directory, roles);
  const ofCertificate = () => permissionsOfRoles(directory, certificateRoles());
  const permissions = {
    statement: () => ofStatement,
    certificate: ofCertificate,
    both: () => permittedByBoth(ofStatement, ofCertificate()),
  }[rolesFrom]();
  if (Object.keys(permissions).length > 0) return { permissions, faults: [] };
  const ofWhom =
    rolesFrom === 'statement' ? '' : `, of the certificate ${list(certificateRoles())}`;
  const detail = `no role permits anything: roles of the statement are ${list(roles)}${ofWhom}; known are ${list(Object.keys(directory.roles))}`;
  return { permissions, faults: [fault('unapproved_software_statement', detail)] };
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(' ');
}

/** An update must not turn a client into another software. */
function movedFaults(
  { issuer, softwareId }: { issuer: string; softwareId: string },
  { registered }: RegistrationRequest,
): Fault[] {
  if (registered === undefined) return [];
  if (registered.directory === issuer && registered.softwareId === softwareId) return [];
  const detail = `the statement is of software ${softwareId} at ${issuer}, the client of ${String(registered.softwareId)} at ${String(registered.directory)}`;
  return [fault('unapproved_software_statement', detail)];
}
