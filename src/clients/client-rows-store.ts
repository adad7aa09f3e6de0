import type { Prisma } from '../database/generated/client.ts';
import { keyedDigest } from '../security/secrets.ts';
import { isSecretMethod } from './client.ts';
import type { Client, ClientMetadata } from './client.ts';

/** What is written of a client; `secret` leaves the stored one alone when it is undefined. */
export interface ClientDraft {
  metadata: ClientMetadata;
  permissions: Readonly<Record<string, readonly string[]>>;
  source: Client['source'];
  secret?: string | undefined;
}

/** A stored client with what it may request. */
export type ClientRow = Prisma.ClientGetPayload<{ include: typeof withPermissions }>;

export const withPermissions = { permissions: true } as const;

/** Secrets are kept as keyed digests: they are random, so a slow hash adds nothing. */
export function digestOf(digestKey: Buffer, id: string, secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(keyedDigest(digestKey, `client-secret:${id}`, secret));
}

/** The columns of a new client. */
export function newRow(digestKey: Buffer, { metadata, source, secret }: ClientDraft) {
  return { id: metadata.client_id, source, ...columnsOf(digestKey, metadata, secret) };
}

/** The columns that follow from the metadata; the secret's only where one is given or none may stay. */
export function columnsOf(digestKey: Buffer, metadata: ClientMetadata, secret: string | undefined) {
  return { ...textColumnsOf(metadata), ...secretColumn(digestKey, metadata, secret) };
}

/** The columns that hold the metadata. */
export function textColumnsOf({ client_id: id, ...metadata }: ClientMetadata) {
  return { name: metadata.client_name ?? id, metadata: metadata as Prisma.InputJsonObject };
}

function secretColumn(digestKey: Buffer, metadata: ClientMetadata, secret: string | undefined) {
  // A method without secrets leaves none behind that a later change would bring back.
  if (!isSecretMethod(metadata.token_endpoint_auth_method)) return { secretDigest: null };
  if (secret === undefined) return {};
  return { secretDigest: digestOf(digestKey, metadata.client_id, secret) };
}

/** What a client may request, a row for each resource server. */
export function permissionRows({ permissions }: Pick<ClientDraft, 'permissions'>) {
  return Object.entries(permissions).map(([resourceServerIdentifier, scopes]) => ({
    resourceServerIdentifier,
    scopes: [...scopes],
  }));
}

const sources = ['file', 'registration'] as const;

/** A row as the rest of the program knows it. */
export function asClient(row: ClientRow): Client {
  return {
    id: row.id,
    name: row.name,
    metadata: {
      ...(row.metadata as Omit<ClientMetadata, 'client_id'>),
      client_id: row.id,
    } as ClientMetadata,
    status: row.status === 'active' ? 'active' : 'suspended',
    source: sources.find((source) => source === row.source) ?? 'operator',
    permissions: Object.fromEntries(
      row.permissions.map((permission) => [permission.resourceServerIdentifier, permission.scopes]),
    ),
    hasSecret: row.secretDigest !== null,
  };
}

/** The code of a Prisma error, such as P2002. */
export function errorCodeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
