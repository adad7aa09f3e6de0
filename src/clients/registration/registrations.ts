import type { AuditEntry } from '../../audit/events.ts';
import { Problem } from '../../problem.ts';
import { randomSecret } from '../../security/secrets.ts';
import { subjectText } from './certificate-rule.ts';
import type { ClientStore } from '../client-store.ts';
import type { InitialAccessTokenStore } from './initial-access-token-store.ts';
import { profileOf } from '../profiles.ts';
import type { AuthorizeManagement } from './registration-access.ts';
import { certificateFaults } from './registration-examination.ts';
import type { Examine } from './registration-examination.ts';
import type { PresentedCertificate, Recorder } from './registration-ports.ts';
import type {
  Accepted,
  Examination,
  Fixed,
  RegistrationBody,
  RegistrationRequest,
} from './registration-request.ts';
import type { Registration, RegistrationStore } from './registration-store.ts';
import { identityScopesIn, registrationErrors } from './registration.ts';
import type { Fault } from './registration.ts';

/** A request at the registration endpoint. */
export interface RegistrationCall {
  /** The token of `Authorization: Bearer`. */
  token: string | undefined;
  certificate: PresentedCertificate | undefined;
}

/** A client identifier: 128 random bits, and never in the form of an option or of a customer's `sub`. */
export function newClientId(): string {
  return `client-${randomSecret(16)}`;
}

/** What a client is told about its registration. */
export interface RegistrationAnswer {
  registration: Registration;
  /** Where the caller may see it: new, or the one that it came with. */
  registrationToken?: string | undefined;
  softwareStatement?: string | undefined;
}

/** Dynamic client registration (RFC 7591) and its management (RFC 7592). Refusals are Problems with their codes. */
export interface Registrations {
  register(call: RegistrationCall, body: ReadBody): Promise<RegistrationAnswer>;
  read(call: RegistrationCall, clientId: string): Promise<RegistrationAnswer>;
  replace(call: RegistrationCall, clientId: string, body: ReadBody): Promise<RegistrationAnswer>;
  delete(call: RegistrationCall, clientId: string): Promise<void>;
}

/** Reads the body once somebody may send one; refuses it with Problem('invalid_client_metadata'). */
type ReadBody = () => Promise<RegistrationBody>;

interface Dependencies {
  examine: Examine;
  authorize: AuthorizeManagement;
  registrations: Pick<RegistrationStore, 'insert' | 'replace'>;
  initialAccessTokens: Pick<InitialAccessTokenStore, 'find'>;
  clients: Pick<ClientStore, 'delete'>;
  /** Whether clients may come with a software statement, and with an initial access token. */
  accepts: { statements: boolean; initialAccessTokens: boolean };
  audit: Recorder;
  /** Told the code of each refusal. */
  onRefusal: (code: string) => void;
}

/** Puts registration together: who may, what is accepted, what is written, what is recorded. */
export function createRegistrations(deps: Dependencies): Registrations {
  return {
    register: (call, body) =>
      recorded(deps, { operation: 'register', call }, (facts) =>
        register(call, body, { deps, facts }),
      ),

    read: (call, clientId) =>
      recorded(deps, { operation: 'read', call, clientId }, () =>
        deps.authorize({ ...call, clientId }),
      ),

    replace: (call, clientId, body) =>
      recorded(deps, { operation: 'replace', call, clientId }, async (facts) => {
        const { registration, registrationToken } = await deps.authorize({ ...call, clientId });
        const request = { ...call, clientId, ...standing(registration), body: await body() };
        const accepted = acceptedOf(await deps.examine(request), facts);
        const written = await deps.registrations.replace(accepted);
        record(deps, clientId, {
          type: 'client.updated',
          detail: { ...facts, change: 'registration' },
        });
        const { softwareStatement } = accepted;
        return { registration: written, registrationToken, softwareStatement };
      }),

    delete: (call, clientId) =>
      recorded(deps, { operation: 'delete', call, clientId }, async () => {
        await deps.authorize({ ...call, clientId });
        await deps.clients.delete(clientId);
        record(deps, clientId, { type: 'client.deleted', detail: { by: 'registration' } });
      }),
  };
}

/** What is found out on the way, for the audit trail. */
type Facts = Record<string, unknown>;

async function register(
  call: RegistrationCall,
  body: ReadBody,
  { deps, facts }: { deps: Dependencies; facts: Facts },
): Promise<RegistrationAnswer> {
  const { token: initialAccessToken, certificate } = call;
  // Before anything is read or asked: strangers cause no work.
  rejectFaults(certificateFaults(certificate));
  const fixed = await fixedFor(initialAccessToken, deps);
  const clientId = newClientId();
  const request = { certificate, clientId, fixed, body: await body() };
  const accepted = acceptedOf(await deps.examine(request), facts);
  const registrationToken = randomSecret();
  const credentials = { registrationToken, initialAccessToken };
  const registration = await deps.registrations.insert(accepted, credentials);
  const { organisationId } = accepted.origin;
  const detail = { ...facts, organisationId, certificate: accepted.certificateSubject };
  record(deps, clientId, { type: 'client.created', detail: { by: 'registration', ...detail } });
  return { registration, registrationToken, softwareStatement: accepted.softwareStatement };
}

async function fixedFor(
  token: string | undefined,
  { accepts, initialAccessTokens }: Dependencies,
): Promise<Fixed | undefined> {
  if (token === undefined) {
    if (accepts.statements) return undefined;
    throw new Problem('invalid_token', { detail: 'there is no initial access token' });
  }
  const fixed = accepts.initialAccessTokens ? await initialAccessTokens.find(token) : undefined;
  if (fixed !== undefined) return fixed;
  const detail = 'the initial access token is unknown, used or expired, or none are accepted';
  throw new Problem('invalid_token', { detail });
}

/** What an update must keep to: the software, or what the operator allowed. */
function standing({
  client,
  directory,
  softwareId,
}: Registration): Pick<RegistrationRequest, 'fixed' | 'registered'> {
  const profile = profileOf(client.metadata);
  const registered = { directory, softwareId, profile };
  if (directory !== undefined) return { registered };
  const identityScopes = identityScopesIn(client.metadata);
  return { registered, fixed: { permissions: client.permissions, profile, identityScopes } };
}

function acceptedOf({ faults, facts, accepted }: Examination, noted: Facts): Accepted {
  Object.assign(noted, facts);
  rejectFaults(faults);
  if (accepted !== undefined) return accepted;
  throw new Problem('invalid_client_metadata', { detail: 'it was not judged to its end' });
}

/** The first fault decides the code; the reason tells of all. */
function rejectFaults(faults: readonly Fault[]): void {
  const [first] = faults;
  if (first === undefined) return;
  throw new Problem(first.code, { detail: faults.map(({ detail }) => detail).join('; ') });
}

interface Attempt {
  operation: string;
  call: RegistrationCall;
  clientId?: string;
}

const refusalCodes: readonly string[] = registrationErrors;

/** Leaves an audit event of every refusal, with the whole reason. */
async function recorded<T>(
  { audit, onRefusal }: Pick<Dependencies, 'audit' | 'onRefusal'>,
  { operation, call, clientId }: Attempt,
  work: (facts: Facts) => Promise<T>,
): Promise<T> {
  const facts: Facts = {};
  try {
    return await work(facts);
  } catch (error) {
    if (!(error instanceof Problem) || !refusalCodes.includes(error.code)) throw error;
    const { certificate } = call;
    onRefusal(error.code);
    audit.record({
      type: 'client.registration_refused',
      outcome: 'refused',
      actor: { type: 'client' },
      ...(clientId === undefined ? {} : { clientId: clientId.slice(0, 100) }),
      detail: {
        operation,
        error: error.code,
        reason: error.detail,
        ...facts,
        certificate: certificate && subjectText(certificate.certificate),
      },
    });
    throw error;
  }
}

function record(
  { audit }: Pick<Dependencies, 'audit'>,
  clientId: string,
  done: Pick<AuditEntry, 'type'> & { detail: Facts },
): void {
  const actor = { type: 'client', id: clientId } as const;
  audit.record({ ...done, outcome: 'success', actor, clientId });
}
