import { parseDistinguishedName } from '../../tls/names/distinguished-name-text.ts';
import { distinguishedNameOf, sameDistinguishedName } from '../../tls/names/distinguished-name.ts';
import { Problem } from '../../problem.ts';
import type { FindClientToken } from '../../security/client-access.ts';
import { subjectText } from './certificate-rule.ts';
import { certificateFaults } from './registration-examination.ts';
import type { PresentedCertificate } from './registration-ports.ts';
import type { Registration, RegistrationStore } from './registration-store.ts';

/** Which client-credentials tokens manage the registration of their client. */
export interface ManagementScope {
  /** What `aud` must name. */
  resource: string;
  scope: string;
}

/** A request about a registration. */
export interface ManagementRequest {
  clientId: string;
  /** The token of `Authorization: Bearer`. */
  token: string | undefined;
  certificate: PresentedCertificate | undefined;
}

/** A registration that the request may manage. */
export interface Managed {
  registration: Registration;
  /** The registration access token, when the request came with it. */
  registrationToken?: string;
}

interface Dependencies {
  registrations: Pick<RegistrationStore, 'find'>;
  findClientToken: FindClientToken;
  /** Without it only the registration access token is accepted. */
  management: ManagementScope | undefined;
}

/**
 * Decides who may manage a registration (RFC 7592 §2): whoever has its registration access token and a certificate of the
 * subject that registered, or an access token of the client itself that is bound to the certificate presented. Unknown
 * and foreign clients look alike. Problem('invalid_token').
 */
export function createRegistrationAccess(deps: Dependencies) {
  return async function authorize(request: ManagementRequest): Promise<Managed> {
    const { clientId, token, certificate } = request;
    const [fault] = certificateFaults(certificate);
    if (fault !== undefined || certificate === undefined) throw refused(String(fault?.detail));
    if (token === undefined) throw refused('no token');
    const registration = await deps.registrations.find(clientId);
    if (registration === undefined) throw refused('there is no such registration');
    if (registration.client.status !== 'active') throw refused('the client is suspended');
    if (registration.isToken(token)) {
      rejectForeignSubject(registration, certificate);
      return { registration, registrationToken: token };
    }
    await rejectForeignToken(token, { clientId, certificate }, deps);
    return { registration };
  };
}

/** Who may manage what. */
export type AuthorizeManagement = ReturnType<typeof createRegistrationAccess>;

/** A renewed certificate has the same subject; a stolen token is of no use without one. */
function rejectForeignSubject(
  { certificateSubject }: Registration,
  { certificate }: PresentedCertificate,
): void {
  const registered = parseDistinguishedName(certificateSubject);
  if (sameDistinguishedName(registered, distinguishedNameOf(certificate))) return;
  throw refused(
    `the registration token is bound to ${JSON.stringify(certificateSubject)}, the certificate has ${JSON.stringify(subjectText(certificate))}`,
  );
}

async function rejectForeignToken(
  token: string,
  { clientId, certificate }: { clientId: string; certificate: PresentedCertificate },
  { management, findClientToken }: Dependencies,
): Promise<void> {
  const found = management === undefined ? undefined : await findClientToken(token);
  if (management === undefined || found === undefined) {
    throw refused('the token is neither the registration token nor one of the client');
  }
  const { scope, resource } = management;
  const faults = [
    found.clientId !== clientId && `the token is of ${found.clientId}`,
    found.thumbprint !== certificate.thumbprint && 'the token is not bound to this certificate',
    !found.scopes.includes(scope) && `the token has no scope ${scope}`,
    !found.audiences.includes(resource) && `the token is not for ${resource}`,
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw refused(faults.join('; '));
}

function refused(detail: string): Problem {
  return new Problem('invalid_token', { detail });
}
