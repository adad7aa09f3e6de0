import type { IncomingMessage } from 'node:http';
import type { AuditEntry } from '../audit/events.ts';

/** A resource server that proved who it is. */
export interface AskingServer {
  identifier: string;
  /** Scopes that it accepts. */
  scopes: readonly string[];
  /** The client as which it authenticates. */
  clientId: string;
}

/** The resource server that a request is from, as it would authenticate at introspection; undefined for anybody else. */
export type AuthenticateServer = (
  request: IncomingMessage,
  credentials: { id: string; secret: string } | undefined,
) => Promise<AskingServer | undefined>;

/**
 * Whether the client may ask for `scope` at a resource server. One that is suspended may: what was begun under its consents
 * can be told of.
 */
export type ClientMay = (
  clientId: string,
  resourceServer: string,
  scope: string,
) => Promise<boolean>;

/** Where events go; the trail of `audit/` fits. */
export interface Recorder {
  record(entry: AuditEntry): void;
}

/** A client to which a customer gave access by scopes alone; the provider's fit. */
export interface AllowedApp {
  /** Names the client in addresses. */
  reference: string;
  clientId: string;
  since: Date;
  until: Date;
  access: {
    openidScopes: string[];
    resources: { scopes: { name: string; sentences: Readonly<Record<string, string>> }[] }[];
  };
}

/** Access that no consent object stands for. */
export interface AllowedApps {
  listOf(customerId: string): Promise<AllowedApp[]>;
  /** Undefined where there is nothing (any more) of this customer to end. */
  end(
    customerId: string,
    reference: string,
  ): Promise<{ clientId: string; count: number } | undefined>;
}
