import type { IncomingMessage } from 'node:http';
import type { AuditEntry } from '../audit/events.ts';
import type { StreamAlgorithm } from './security-event.ts';

/** Signs a token of ours by the key that signs access tokens; the engine's fits. Rejects where no key signs so. */
export type SignToken = (token: {
  /** The `typ` of its header. */
  type: string;
  algorithm: StreamAlgorithm;
  claims: Readonly<Record<string, unknown>>;
}) => Promise<string>;

/** The guarded way out; Problem('outbound_refused') for what it does not let through, and what fails. */
export type SendOut = (url: string, options: RequestInit) => Promise<Response>;

/** Where events go that auditors want; the trail of `audit/` fits. */
export interface Recorder {
  record(entry: AuditEntry): void;
}

/** Changes that any process made; those of `database/` fit. */
export interface OutboxChanges {
  subscribe(topic: 'security-events', onChange: () => void): void;
  /** Whether they are heard at the moment. */
  isLive(): boolean;
}

/** What became of an attempt, for the metric. */
export type DeliveryOutcome = 'delivered' | 'failed' | 'rejected' | 'expired';

/** What is counted; the process's metrics fit. */
export interface DeliveryMetrics {
  securityEventDeliveries: {
    increment(labels: { delivery: string; outcome: DeliveryOutcome }, by?: number): void;
  };
  securityEventBacklog: { set(labels: { delivery: string }, value: number): void };
  securityEventOldestSeconds: { set(labels: { delivery: string }, value: number): void };
}

/** The resource server that a request is from, as it would authenticate at introspection; undefined for anybody else. */
export type AuthenticateServer = (
  request: IncomingMessage,
  credentials: { id: string; secret: string } | undefined,
) => Promise<{ identifier: string } | undefined>;
