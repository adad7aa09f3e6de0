import type { Clock } from '../../clock.ts';
import type { Prisma, PrismaClient } from '../../database/generated/client.ts';
import type { Sql, SqlValue } from '../../database/sql.ts';
import { Problem } from '../../problem.ts';
import { equalDigests, sha256 } from '../../security/secrets.ts';
import { asClient, textColumnsOf, withPermissions } from '../client-rows-store.ts';
import { clientIdPattern } from '../client.ts';
import type { Client } from '../client.ts';
import type { ClientStore } from '../client-store.ts';
import {
  createInitialAccessTokenStore,
  initialAccessTokenDigest,
} from './initial-access-token-store.ts';
import type { Accepted, Origin } from './registration-request.ts';
import { insertRegistration, replaceRegistration } from './registration-statements-store.ts';

/** A client that registered itself, and what manages it. */
export interface Registration {
  client: Client;
  issuedAt: Date;
  directory: string | undefined;
  softwareId: string | undefined;
  /** RFC 4514. */
  certificateSubject: string;
  /** Whether this is its registration access token, compared by digest in constant time. */
  isToken(token: string): boolean;
}

/** By what a client is registered, apart from what is accepted of it. */
export interface Credentials {
  registrationToken: string;
  /** Used up with the registration, or not at all. */
  initialAccessToken?: string | undefined;
}

/** Registrations in the database. */
export interface RegistrationStore {
  find(clientId: string): Promise<Registration | undefined>;
  /**
   * Writes the client with everything about it, or nothing. Problems: unapproved_software_statement for a software that
   * is registered or has a suspended client, invalid_client_metadata for a request that came before, invalid_token for a token that is used up.
   */
  insert(accepted: Accepted, credentials: Credentials): Promise<Registration>;
  /** Replaces what is registered. Problems as of insert; invalid_token when the client is gone. */
  replace(accepted: Accepted): Promise<Registration>;
  /** Whether another client is registered for the only registration of a software. */
  isTaken(origin: Origin, clientId: string): Promise<boolean>;
}

interface Dependencies {
  prisma: Pick<PrismaClient, 'client' | 'clientRegistration' | 'initialAccessToken'>;
  sql: Pick<Sql, 'run'>;
  clock: Clock;
  /** Who remembers clients. */
  clients: Pick<ClientStore, 'forget'>;
}

/** The two stores that registration writes to. */
export function createRegistrationStores(dependencies: Dependencies) {
  return {
    registrations: createRegistrationStore(dependencies),
    initialAccessTokens: createInitialAccessTokenStore(dependencies),
  };
}

const include = { ...withPermissions, registration: true } as const;
type Row = Prisma.ClientGetPayload<{ include: typeof include }>;

function createRegistrationStore(dependencies: Dependencies): RegistrationStore {
  const { prisma, clock, clients } = dependencies;
  const run = createRunner(dependencies);

  async function find(clientId: string): Promise<Registration | undefined> {
    if (!clientIdPattern.test(clientId)) return undefined; // Postgres refuses U+0000
    const row = await prisma.client.findUnique({ where: { id: clientId }, include });
    return row === null ? undefined : asRegistration(row);
  }

  async function written({ metadata: { client_id: id } }: Accepted): Promise<Registration> {
    clients.forget(id);
    const registration = await find(id);
    if (registration !== undefined) return registration;
    throw new Problem('invalid_token', { detail: `${id} is gone` });
  }

  return {
    find,

    async insert(accepted, { registrationToken, initialAccessToken: token }) {
      await run(insertRegistration, accepted, [
        digestOf(accepted.metadata.client_id, registrationToken),
        clock.now(),
        token === undefined ? null : initialAccessTokenDigest(token),
        accepted.origin.directory ?? null,
      ]);
      return written(accepted);
    },

    async replace(accepted) {
      await run(replaceRegistration, accepted, []);
      return written(accepted);
    },

    async isTaken(origin, clientId) {
      const onlyOf = onlyOfColumn(origin);
      if (onlyOf === null) return false;
      const found = await prisma.clientRegistration.findUnique({ where: { onlyOf } });
      return found !== null && found.clientId !== clientId;
    },
  };
}

function createRunner({ sql }: Dependencies) {
  return async function run(
    statement: typeof insertRegistration,
    accepted: Accepted,
    more: readonly SqlValue[],
  ): Promise<void> {
    const { metadata, permissions, origin, certificateSubject } = accepted;
    const { name, metadata: stored } = textColumnsOf(metadata);
    const count = await sql
      .run(statement, [
        ...onceValues(accepted),
        metadata.client_id,
        name,
        JSON.stringify(stored),
        JSON.stringify(permissions),
        origin.softwareId ?? null,
        origin.organisationId ?? null,
        onlyOfColumn(origin),
        certificateSubject,
        ...more,
      ])
      .catch((error: unknown) => {
        throw asProblem(error, accepted);
      });
    if (count === 0) throw refusal(statement, origin);
  };
}

/** Why a statement wrote nothing: who comes by a directory has no initial access token that could be used up. */
function refusal(statement: typeof insertRegistration, { directory, softwareId }: Origin): Problem {
  if (statement === insertRegistration && directory !== undefined) {
    const detail = `a client of software ${String(softwareId)} of ${directory} is suspended`;
    return new Problem('unapproved_software_statement', { detail });
  }
  const detail = 'the initial access token was used, or the client is gone';
  return new Problem('invalid_token', { detail });
}

/** Without a key: the token has 256 random bits, and must outlive a change of the digest key. */
function digestOf(clientId: string, token: string): Uint8Array {
  return sha256(`registration-token ${clientId} ${token}`);
}

/** Digest and end of a signed request. */
function onceValues({ once, origin }: Accepted): [Uint8Array | null, Date | null] {
  if (once === undefined) return [null, null];
  // The length keeps ("a", "bc") and ("ab", "c") apart.
  const directory = `registration ${String(origin.directory?.length)}:${String(origin.directory)}`;
  return [sha256(`${directory}${once.identifier}`), once.expiresAt];
}

function onlyOfColumn({ directory, softwareId, onePerSoftware }: Origin): string | null {
  if (!onePerSoftware || directory === undefined || softwareId === undefined) return null;
  return `${String(directory.length)}:${directory} ${softwareId}`;
}

function asRegistration(row: Row): Registration | undefined {
  const { registration } = row;
  if (registration === null) return undefined;
  return {
    client: asClient(row),
    issuedAt: row.createdAt,
    directory: registration.directory ?? undefined,
    softwareId: registration.softwareId ?? undefined,
    certificateSubject: registration.certificateSubject,
    isToken: (token) => equalDigests(registration.tokenDigest, digestOf(row.id, token)),
  };
}

/** By the constraint that an error of pg names. */
function asProblem(error: unknown, { origin }: Accepted): unknown {
  const constraint = error instanceof Error && 'constraint' in error ? error.constraint : undefined;
  const { directory, softwareId } = origin;
  switch (constraint) {
    case 'client_registrations_only_of_key': {
      const detail = `software ${String(softwareId)} of ${String(directory)} is registered already`;
      return new Problem('unapproved_software_statement', { detail, cause: error });
    }
    case 'replay_identifiers_pkey': {
      const detail = 'a request with this jti came before';
      return new Problem('invalid_client_metadata', { detail, cause: error });
    }
    case 'client_permissions_resource_server_identifier_fkey': {
      const detail = `a role of ${String(directory)} permits a resource server that does not exist`;
      return new Problem('configuration_invalid', { detail, cause: error });
    }
    default:
      return error;
  }
}
