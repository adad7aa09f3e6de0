import type { IncomingMessage } from 'node:http';
import type Router from '@koa/router';
import type { KeyRules } from '../api-keys/issuing.ts';
import type { KeyMode } from '../api-keys/key-format.ts';
import type { SecurityProfile } from '../clients/profiles.ts';
import type { RegistrationSettings } from '../clients/registration/registration-parts.ts';
import type { Clock } from '../clock.ts';
import type { PasswordHashCost, PasswordHashLimits } from '../customers/password.ts';
import type { Locate } from '../customers/travel/geoip-file.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { Database } from '../database/client.ts';
import type { Pages } from '../http/pages.ts';
import type { EdgePolicy } from '../edge/route-policy.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { CurrentAccessToken } from '../provider/tokens/access-tokens.ts';
import type { Lifetimes } from '../provider/ports.ts';
import type { RateLimitPolicy } from '../rate-limits/policy.ts';
import type { SingleUseStore } from '../provider/storage/single-use-store.ts';
import type { DeliveryLimits } from '../security-events/delivery.ts';
import type { OutboundLimits } from '../security/outbound-fetch.ts';
import type { PublishedRing } from '../signing-keys/published-ring.ts';
import type { ProxySettings, Revocation } from '../tls/certificate-source.ts';

/** Everything that varies between installations, as plain values. */
export interface AppSettings {
  issuer: string;
  mtlsOrigin: string;
  cookieKeys: readonly Buffer[];
  encryptionKeys: readonly Buffer[];
  digestKey: Buffer;
  /** What digests were made with before. */
  olderDigestKeys: readonly Buffer[];
  pairwiseSalt: Buffer;
  defaultResource: string | undefined;
  /** Which resource server's tokens lodge consents, and whether nothing is given without one. */
  consents: {
    resource: string | undefined;
    required: boolean;
    /** The bank's core, which knows what accounts a customer has; `madeUp` in development. */
    accounts: {
      url: string | undefined;
      timeoutMs: number;
      clientCertificate: OutboundLimits['clientCertificate'];
      madeUp: boolean;
    };
  };
  /** Whether every authorization request must say what becomes of the grant. */
  grantActionRequired: boolean;
  /** Keys for programs that can't run a flow. */
  apiKeys: {
    /** Whose client-credentials tokens manage keys; without it no token does. */
    resource: string | undefined;
    mode: KeyMode;
    warningSeconds: number;
    rules: KeyRules;
  };
  /** How receivers are told of changes to consents. */
  events: DeliveryLimits & { pollWaitMs: number };
  /** How long a login is good for the customers' own pages. */
  account: { idleSeconds: number; recentSeconds: number };
  /** How many requests are too many, and where they are counted. */
  rateLimits: {
    policy: RateLimitPolicy;
    store: { kind: 'memory' | 'postgres' } | { kind: 'redis'; url: string };
  };
  /** How clients may register themselves. */
  registration: RegistrationSettings;
  /** The authorities whose client certificates are trusted, PEM. */
  clientTruststore: string;
  /** Proxies that end TLS in front of us. */
  proxies: ProxySettings;
  /** Addresses from which resource servers fetch the key set. */
  keyReaderAddresses: readonly string[];
  /** The least that clients are held to. */
  minimumProfile: SecurityProfile;
  /** Whether DPoP proofs need a nonce of ours. */
  dpopNonceRequired: boolean;
  /** Whether and how long a retried refresh gets the same answer again. */
  refreshRetry: { seconds: number; unproven: boolean };
  lifetimes: Lifetimes;
  passwordHash: PasswordHashCost & PasswordHashLimits;
  /** Where addresses are; undefined when nobody knows, and journeys are not judged. */
  locate: Locate | undefined;
  brand: { name: string; helpUrl?: string | undefined; logoFile?: string; themeFile?: string };
  outbound: OutboundLimits;
  /** For which a request is waited for until it is answered with 503. */
  requestTimeMs: number;
  viewsDirectory: string;
  hstsMaxAgeSeconds: number;
  /** Which requests pass the edge; undefined without one. */
  edge: EdgePolicy | undefined;
  /** Adds routes that exist in development only. */
  developmentRoutes?: DevelopmentRoutes;
}

/** Adds routes that exist in development only. */
export type DevelopmentRoutes = (router: Router, parts: DevelopmentParts) => void;

/** What such routes may use. */
export interface DevelopmentParts {
  issuer: string;
  mtlsOrigin: string;
  /** Whether DPoP proofs need a nonce. */
  nonceRequired: boolean;
  clock: Clock;
  pages: Pages;
  findAccessToken: (token: string) => Promise<CurrentAccessToken | undefined>;
  certificateOf: (request: IncomingMessage) => { thumbprint: string } | undefined;
  firstUse: SingleUseStore['firstUse'];
}

/** What the app stands on. */
export interface AppDependencies {
  database: Database;
  /** Changes that other processes make to what this one remembers. */
  changes: ChangeSource;
  /** The keys that sign. */
  keyRing: Pick<PublishedRing, 'join' | 'kids'>;
  /** Whether client certificates were revoked. */
  revocation: Revocation;
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
  /** Told at once of what has to be closed, also where the app then can't be built. */
  onOpen?: (close: () => Promise<unknown>) => void;
}

/** The cookies' keys as Koa and the engine take them. */
export function cookieKeysOf({ cookieKeys }: AppSettings): string[] {
  return cookieKeys.map((key) => key.toString('base64url'));
}
