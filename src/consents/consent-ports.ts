import type { IncomingMessage } from 'node:http';
import type { AuditEntry } from '../audit/events.ts';

/** A client's own access token; the provider's fits. */
export interface ClientToken {
  clientId: string;
  scopes: readonly string[];
  audiences: readonly string[];
  /** `x5t#S256` of the certificate that it is bound to. */
  thumbprint: string | undefined;
}

/** A client-credentials token that is valid and not revoked; undefined for anything else. */
export type FindClientToken = (token: string) => Promise<ClientToken | undefined>;

/** A client certificate as this request proved it; `refusal` says why it is not good enough. */
export interface PresentedCertificate {
  thumbprint: string;
  refusal?: string | undefined;
}

/** The certificate of a request; the process's certificate source fits. */
export type CertificateOf = (request: IncomingMessage) => PresentedCertificate | undefined;

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
