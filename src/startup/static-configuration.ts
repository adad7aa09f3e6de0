import { readFile } from 'node:fs/promises';
import type { AuditTrail } from '../audit/trail.ts';
import { parseClientMetadata } from '../clients/client-metadata.ts';
import type { ClientStore } from '../clients/client-store.ts';
import { isSecretMethod } from '../clients/client.ts';
import type { StaticConfiguration } from '../config/static-file.ts';
import { Problem } from '../problem.ts';
import { checkResourceServer } from '../resource-servers/resource-server.ts';
import type { ResourceServerStore } from '../resource-servers/resource-server-store.ts';

interface Stores {
  clients: Pick<ClientStore, 'save' | 'list' | 'delete'>;
  resourceServers: Pick<ResourceServerStore, 'save' | 'list' | 'delete'>;
  audit: Pick<AuditTrail, 'recordDurably'>;
  accessTokenTtlSeconds: number;
}

/** Secrets by client id, where they don't come from files. */
type Secrets = Readonly<Record<string, string>>;

/**
 * Makes the database hold what the static file declares. What the file no longer declares, and an earlier one did, is
 * deleted; what operators created is left alone. Everything is checked before anything is written.
 */
export async function applyStaticConfiguration(
  declared: StaticConfiguration,
  stores: Stores,
  secrets: Secrets = {},
): Promise<void> {
  const { drafts, resourceServers } = await checkStaticConfiguration(declared, {
    accessTokenTtlSeconds: stores.accessTokenTtlSeconds,
    secrets,
  });
  for (const resourceServer of resourceServers) await stores.resourceServers.save(resourceServer);
  for (const draft of drafts) await stores.clients.save(draft);
  await deleteUndeclared(declared, stores);
  await stores.audit.recordDurably({
    type: 'configuration.applied',
    outcome: 'success',
    actor: { type: 'system' },
    detail: {
      clients: drafts.map(({ metadata }) => metadata.client_id),
      resourceServers: resourceServers.map(({ identifier }) => identifier),
    },
  });
}

/**
 * The resource servers and clients of a static file, checked and complete; reads the secrets' files and writes
 * nothing. Problems: client_invalid, resource_server_invalid.
 */
export async function checkStaticConfiguration(
  declared: StaticConfiguration,
  { accessTokenTtlSeconds, secrets = {} }: { accessTokenTtlSeconds: number; secrets?: Secrets },
) {
  const drafts = await Promise.all(declared.clients.map((client) => draftOf(client, secrets)));
  const resourceServers = declared.resourceServers.map((resourceServer) =>
    checkResourceServer({
      ...resourceServer,
      accessTokenTtlSeconds: resourceServer.accessTokenTtlSeconds ?? accessTokenTtlSeconds,
      introspectionClientId: resourceServer.introspectionClientId,
      source: 'file',
    }),
  );
  return { drafts, resourceServers };
}

async function draftOf(client: StaticConfiguration['clients'][number], secrets: Secrets) {
  const metadata = parseClientMetadata(client.metadata);
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

async function deleteUndeclared(declared: StaticConfiguration, stores: Stores): Promise<void> {
  const clientIds = new Set(declared.clients.map(({ metadata }) => metadata.client_id));
  for (const client of await stores.clients.list()) {
    if (client.source === 'file' && !clientIds.has(client.id))
      await stores.clients.delete(client.id);
  }
  const identifiers = new Set(declared.resourceServers.map(({ identifier }) => identifier));
  for (const { source, identifier } of await stores.resourceServers.list()) {
    if (source === 'file' && !identifiers.has(identifier)) {
      await stores.resourceServers.delete(identifier);
    }
  }
}
