import type { ClientMetadata } from '../client.ts';
import type { Permissions } from './directory.ts';
import type { SecurityProfile } from '../profiles.ts';
import type { PresentedCertificate } from './registration-ports.ts';
import type { Fault } from './registration.ts';

/** The text of a request, and what its content type says it is. */
export interface RegistrationBody {
  type: 'json' | 'jwt';
  text: string;
}

/** What an operator fixed for a client that comes without a software statement. */
export interface Fixed {
  permissions: Permissions;
  profile: SecurityProfile;
  /** None where it is not said. */
  identityScopes?: readonly string[];
}

/** Where a client comes from; a directory and software, or neither. */
export interface Origin {
  directory?: string | undefined;
  softwareId?: string | undefined;
  organisationId?: string | undefined;
  /** No other client may be registered for the software. */
  onePerSoftware: boolean;
}

/** What an update can't change. */
export interface Registered extends Pick<Origin, 'directory' | 'softwareId'> {
  /** An update leaves it or makes it stricter, or a client could undo what an operator demands of it. */
  profile: SecurityProfile;
}

/** A registration, or an update of one, as it arrived. */
export interface RegistrationRequest {
  body: RegistrationBody;
  certificate: PresentedCertificate | undefined;
  /** The identifier that the client has or will get. */
  clientId: string;
  /** Without it a software statement decides. */
  fixed?: Fixed | undefined;
  /** What the client is registered as; for an update. */
  registered?: Registered | undefined;
}

/** What is written of an acceptable request. */
export interface Accepted {
  metadata: ClientMetadata;
  permissions: Permissions;
  /** RFC 4514. */
  certificateSubject: string;
  origin: Origin;
  /** As it was sent, for the answer (RFC 7591 §3.2.1). */
  softwareStatement?: string | undefined;
  /** A signed request's identifier, which must not come again until then. */
  once?: { identifier: string; expiresAt: Date } | undefined;
}

/** Everything that speaks against a request; nothing does when it is accepted. */
export interface Examination {
  faults: readonly Fault[];
  /** For log and audit. */
  facts: { directory?: string | undefined; softwareId?: string | undefined };
  accepted?: Accepted;
}
