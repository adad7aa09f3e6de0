import { readFile } from 'node:fs/promises';
import type { AuditEntry } from '../audit/events.ts';
import type { AuditTrail } from '../audit/trail.ts';
import { parseClientMetadata } from '../clients/client-metadata.ts';
import type { ClientStore } from '../clients/client-store.ts';
import { isSecretMethod } from '../clients/client.ts';
import type { Client } from '../clients/client.ts';
import type { SecurityProfile } from '../clients/profiles.ts';
import type { StaticConfiguration } from '../config/static-file.ts';
import { Problem } from '../problem.ts';
import { checkResourceServer } from '../resource-servers/resource-server.ts';
import type { ResourceServer } from '../resource-servers/resource-server.ts';
import type { ResourceServerStore } from '../resource-servers/resource-server-store.ts';
import type { EventStream, StreamDraft } from '../security-events/security-event.ts';
import type { EventStreamStore } from '../security-events/stream-store.ts';
import { applyDeclaredStreams, checkDeclaredStreams, takenStreams } from './declared-streams.ts';

interface Stores {
  clients: Pick<ClientStore, 'save' | 'list' | 'delete'>;
  resourceServers: Pick<ResourceServerStore, 'save' | 'list' | 'delete'>;
  eventStreams: Pick<EventStreamStore, 'save' | 'list' | 'delete'>;
  audit: Pick<AuditTrail, 'recordDurably'>;
  accessTokenTtlSeconds: number;
  /** The least that clients may be held to; `baseline` when it is not said. */
  minimumProfile?: SecurityProfile;
}

/** Secrets by client id, where they don't come from files. */
type Secrets = Readonly<Record<string, string>>;

/**
 * Makes the database hold what the static file declares. What the file no longer declares, and an earlier one did, is
 * deleted. What operators created is left alone: a file that declares it too is refused. Everything is checked before
 * anything is written, and each change is recorded. Problem('configuration_invalid'), and those of the check.
 */
export async function applyStaticConfiguration(
  declared: StaticConfiguration,
  stores: Stores,
  secrets: Secrets = {},
): Promise<void> {
  const { drafts, resourceServers, streams } = await checkStaticConfiguration(declared, {
    accessTokenTtlSeconds: stores.accessTokenTtlSeconds,
    minimumProfile: stores.minimumProfile ?? 'baseline',
    secrets,
  });
  const present = {
    clients: await stores.clients.list(),
    resourceServers: await stores.resourceServers.list(),
    streams: await stores.eventStreams.list(),
  };
  rejectOperators(declared, present, streams);
  for (const resourceServer of resourceServers) await stores.resourceServers.save(resourceServer);
  for (const draft of drafts) await stores.clients.save(draft);
  await deleteUndeclared(declared, present, stores);
  for (const stream of await applyDeclaredStreams(streams, stores.eventStreams)) {
    await record(stores, 'event_stream.deleted', { stream, by: 'static file' });
  }
  await record(stores, 'configuration.applied', {
    clients: drafts.map(({ metadata }) => metadata.client_id),
    resourceServers: resourceServers.map(({ identifier }) => identifier),
    eventStreams: streams.map(({ id }) => id),
  });
}

interface Present {
  clients: readonly Client[];
  resourceServers: readonly ResourceServer[];
  streams: readonly EventStream[];
}

/** Two owners of one thing would overwrite each other. */
function rejectOperators(
  declared: StaticConfiguration,
  present: Present,
  streams: readonly StreamDraft[],
): void {
  const ids = new Set(declared.clients.map(({ metadata }) => metadata.client_id));
  const identifiers = new Set(declared.resourceServers.map(({ identifier }) => identifier));
  const taken = [
    ...present.clients.filter(({ id, source }) => source !== 'file' && ids.has(id)),
    ...present.resourceServers
      .filter(({ identifier, source }) => source === 'operator' && identifiers.has(identifier))
      .map(({ identifier }) => ({ id: identifier })),
    ...takenStreams(streams, present.streams).map((id) => ({ id })),
  ].map(({ id }) => id);
  if (taken.length === 0) return;
  const detail = `the static file declares what an operator created: ${taken.join(', ')}; delete it, or take it out of the file`;
  throw new Problem('configuration_invalid', { detail });
}

function record(
  { audit }: Stores,
  type: AuditEntry['type'],
  detail: Record<string, unknown>,
): Promise<void> {
  return audit.recordDurably({ type, outcome: 'success', actor: { type: 'system' }, detail });
}

interface Check extends Pick<Stores, 'accessTokenTtlSeconds' | 'minimumProfile'> {
  secrets?: Secrets;
}

/**
 * The resource servers and clients of a static file, checked and complete; reads the secrets' files and writes
 * nothing. Problems: client_invalid, resource_server_invalid, event_stream_invalid.
 */
export async function checkStaticConfiguration(
  declared: StaticConfiguration,
  { accessTokenTtlSeconds, minimumProfile = 'baseline', secrets = {} }: Check,
) {
  const drafts = await Promise.all(
    declared.clients.map((client) => draftOf(client, minimumProfile, secrets)),
  );
  const resourceServers = declared.resourceServers.map((resourceServer) =>
    checkResourceServer({
      ...resourceServer,
      accessTokenTtlSeconds: resourceServer.accessTokenTtlSeconds ?? accessTokenTtlSeconds,
      introspectionClientId: resourceServer.introspectionClientId,
      source: 'file',
    }),
  );
  return { drafts, resourceServers, streams: await checkDeclaredStreams(declared) };
}

async function draftOf(
  client: StaticConfiguration['clients'][number],
  minimumProfile: SecurityProfile,
  secrets: Secrets,
) {
  const metadata = parseClientMetadata(client.metadata, { minimumProfile });
  const secret = secrets[metadata.client_id] ?? (await readSecret(client.clientSecretFile));
  if (isSecretMethod(metadata.token_endpoint_auth_method) && secret === undefined) {
    const detail = `${metadata.client_id} authenticates by a secret: name its file in clientSecretFile`;
    throw new Problem('client_invalid', { detail });
  }
  return { metadata, permissions: client.permissions, source: 'file' as const, secret };
}

async function readSecret(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Problem('client_invalid', {
      detail: `the secret's file ${file} can't be read`,
      cause,
    });
  });
  const secret = text.replace(/\r?\n$/, '');
  // RFC 6749 §10.10 wants 128 bits; 32 characters of base64url carry more.
  if (secret.length >= 32) return secret;
  throw new Problem('client_invalid', {
    detail: `${file}: a client secret has 32 characters or more`,
  });
}

async function deleteUndeclared(
  declared: StaticConfiguration,
  present: Present,
  stores: Stores,
): Promise<void> {
  const clientIds = new Set(declared.clients.map(({ metadata }) => metadata.client_id));
  for (const { id, source } of present.clients) {
    if (source !== 'file' || clientIds.has(id)) continue;
    await stores.clients.delete(id);
    await record(stores, 'client.deleted', { client: id, by: 'static file' });
  }
  const identifiers = new Set(declared.resourceServers.map(({ identifier }) => identifier));
  for (const { identifier, source } of present.resourceServers) {
    if (source !== 'file' || identifiers.has(identifier)) continue;
    await stores.resourceServers.delete(identifier);
    await record(stores, 'resource_server.deleted', {
      resourceServer: identifier,
      by: 'static file',
    });
  }
}
