import type { IncomingMessage } from 'node:http';
import type { AuditEntry } from '../audit/events.ts';
import type { KeyLimit, Permissions } from './api-key.ts';

/** Clients, as far as keys hang on them; those of `clients/` fit. */
export interface Clients {
  /** Undefined unless the client is active. */
  metadataOf(id: string): Promise<unknown>;
  permissionsOf(id: string): Promise<Permissions>;
}

/** The bank's APIs; those of `resource-servers/` fit. */
export interface ResourceServers {
  find(identifier: string): Promise<ResourceServerScopes | undefined>;
  list(): Promise<ResourceServerScopes[]>;
}

interface ResourceServerScopes {
  identifier: string;
  scopes: Readonly<Record<string, unknown>>;
}

/** What a limiter says of one use. */
export interface Admission {
  allowed: boolean;
  /** Uses that are left in this window. */
  remaining: number;
  /** Seconds until there are more. */
  resetSeconds: number;
}

/** Counts one use of a key against its own limit. */
export type AdmitUse = (
  keyId: string,
  limit: KeyLimit,
) => Admission | undefined | Promise<Admission | undefined>;

/** Where events go; the trail of `audit/` fits. */
export interface Recorder {
  record(entry: AuditEntry): void;
}

/** A resource server that proved who it is. */
export interface AskingServer {
  identifier: string;
}

/** The resource server that a request is from, as it would authenticate at introspection; undefined for anybody else. */
export type AuthenticateServer = (
  request: IncomingMessage,
  credentials: { id: string; secret: string } | undefined,
) => Promise<AskingServer | undefined>;
