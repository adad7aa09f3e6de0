import { collectDefaultMetrics, Registry } from 'prom-client';
import { apiKeyMetrics } from './api-key-metrics.ts';
import type { ApiKeyMetrics } from './api-key-metrics.ts';
import { edgeMetrics } from './edge-metrics.ts';
import type { EdgeMetrics } from './edge-metrics.ts';
import { problems } from '../problem.ts';
import {
  createCounter,
  createGauge,
  createHistogram,
  firstSeen,
  oneOf,
  type CounterHandle,
  type GaugeHandle,
  type HistogramHandle,
} from './metric-handles.ts';
import { eventMetrics, type EventMetrics } from './event-metrics.ts';

/** Everything that we count; label values outside their closed set become "other". */
export interface Metrics extends EventMetrics, ApiKeyMetrics, EdgeMetrics {
  httpRequestSeconds: HistogramHandle<'route' | 'method' | 'status'>;
  tokensIssued: CounterHandle<'grant_type' | 'format'>;
  refusals: CounterHandle<'endpoint' | 'error'>;
  logins: CounterHandle<'outcome'>;
  passwordHashSeconds: HistogramHandle<never>;
  passwordHashQueue: GaugeHandle<never>;
  auditQueue: GaugeHandle<never>;
  auditDropped: CounterHandle<never>;
  databaseUp: GaugeHandle<never>;
  databasePool: GaugeHandle<'state'>;
  cleanupBacklogRows: GaugeHandle<'table'>;
  cleanupOldestExpiredSeconds: GaugeHandle<'table'>;
  cleanupDeletedRows: CounterHandle<'table'>;
  tlsHandshakeFailures: CounterHandle<'reason'>;
  certificateHeadersDropped: CounterHandle<'reason'>;
  certificateExpirySeconds: GaugeHandle<'name'>;
  certificateReloadsRefused: CounterHandle<never>;
  revocationChecks: CounterHandle<'outcome'>;
  revocationFailures: CounterHandle<'method'>;
  revocationListAgeSeconds: GaugeHandle<'source'>;
  signatureSeconds: HistogramHandle<'signer' | 'algorithm'>;
  signatureFailures: CounterHandle<'signer' | 'reason'>;
  rotationOverdueSeconds: GaugeHandle<'of'>;
  /** Runs `collect` before each scrape, for values that are read and not counted, such as the size of a pool. */
  onScrape(collect: () => void): void;
  /** The Prometheus text exposition. */
  text(): Promise<string>;
  readonly contentType: string;
}

const methods = oneOf(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const statuses = oneOf(Array.from({ length: 500 }, (_, index) => String(100 + index)));
const grantTypes = oneOf([
  'authorization_code',
  'client_credentials',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:openid:params:grant-type:ciba',
]);
const formats = oneOf(['jwt', 'opaque']);
const outcomes = oneOf(['success', 'failed', 'throttled', 'challenged', 'cancelled']);
const poolStates = oneOf(['total', 'idle', 'waiting']);

/** RFC 6749, 6750, 7009, 7591, 8628, 8707, 9101, 9126, 9449, OpenID Connect Core and CIBA, and our own problem codes. */
const errorCodes = oneOf([
  ...Object.keys(problems),
  ...['access_denied', 'account_selection_required', 'authorization_pending', 'consent_required'],
  ...[
    'expired_token',
    'insufficient_scope',
    'interaction_required',
    'invalid_authorization_details',
  ],
  ...['invalid_client', 'invalid_client_metadata', 'invalid_dpop_proof', 'invalid_grant'],
  ...['invalid_redirect_uri', 'invalid_request', 'invalid_request_object', 'invalid_request_uri'],
  ...['invalid_scope', 'invalid_software_statement', 'invalid_target', 'invalid_token'],
  ...['login_required', 'registration_not_supported', 'request_not_supported', 'server_error'],
  ...['request_uri_not_supported', 'slow_down', 'temporarily_unavailable', 'unauthorized_client'],
  ...['unapproved_software_statement', 'unmet_authentication_requirements', 'use_dpop_nonce'],
  ...['unsupported_grant_type', 'unsupported_response_mode', 'unsupported_response_type'],
  ...['unsupported_token_type'],
]);

function requestMetrics(
  registry: Registry,
): Pick<
  Metrics,
  | 'httpRequestSeconds'
  | 'tokensIssued'
  | 'refusals'
  | 'tlsHandshakeFailures'
  | 'certificateHeadersDropped'
> {
  return {
    httpRequestSeconds: createHistogram(registry, {
      name: 'countersign_http_request_seconds',
      help: 'Time to answer a request.',
      labels: { route: firstSeen(100), method: methods, status: statuses },
    }),
    tokensIssued: createCounter(registry, {
      name: 'countersign_tokens_issued_total',
      help: 'Access tokens issued.',
      labels: { grant_type: grantTypes, format: formats },
    }),
    refusals: createCounter(registry, {
      name: 'countersign_refusals_total',
      help: 'Requests refused, by the error that the caller saw.',
      labels: { endpoint: firstSeen(100), error: errorCodes },
    }),
    tlsHandshakeFailures: createCounter(registry, {
      name: 'countersign_tls_handshake_failures_total',
      help: 'TLS handshakes that failed.',
      labels: { reason: firstSeen(50) },
    }),
    certificateHeadersDropped: createCounter(registry, {
      name: 'countersign_certificate_headers_dropped_total',
      help: 'Requests that told of a client certificate in a header and were not believed.',
      labels: { reason: oneOf(['no_proxy', 'not_configured', 'public_host']) },
    }),
  };
}

function loginMetrics(
  registry: Registry,
): Pick<Metrics, 'logins' | 'passwordHashSeconds' | 'passwordHashQueue'> {
  return {
    logins: createCounter(registry, {
      name: 'countersign_logins_total',
      help: 'Customer logins, by outcome.',
      labels: { outcome: outcomes },
    }),
    passwordHashSeconds: createHistogram(registry, {
      name: 'countersign_password_hash_seconds',
      help: 'Time to hash or verify a password, without waiting.',
      labels: {},
    }),
    passwordHashQueue: createGauge(registry, {
      name: 'countersign_password_hash_queue',
      help: 'Passwords that are hashed now or wait for their turn.',
      labels: {},
    }),
  };
}

function auditMetrics(registry: Registry): Pick<Metrics, 'auditQueue' | 'auditDropped'> {
  return {
    auditQueue: createGauge(registry, {
      name: 'countersign_audit_queue',
      help: 'Audit events that are not committed yet.',
      labels: {},
    }),
    auditDropped: createCounter(registry, {
      name: 'countersign_audit_dropped_total',
      help: 'Audit events that reached the log but not the database.',
      labels: {},
    }),
  };
}

function databaseMetrics(registry: Registry): Pick<Metrics, 'databaseUp' | 'databasePool'> {
  return {
    databaseUp: createGauge(registry, {
      name: 'countersign_database_up',
      help: '1 if the database answered the last check, else 0.',
      labels: {},
    }),
    databasePool: createGauge(registry, {
      name: 'countersign_database_pool',
      help: 'Connections of the pool (total, idle) and queries that wait for one (waiting).',
      labels: { state: poolStates },
    }),
  };
}

function upkeepMetrics(
  registry: Registry,
): Pick<
  Metrics,
  | 'cleanupBacklogRows'
  | 'cleanupOldestExpiredSeconds'
  | 'cleanupDeletedRows'
  | 'certificateExpirySeconds'
  | 'certificateReloadsRefused'
> {
  return {
    cleanupBacklogRows: createGauge(registry, {
      name: 'countersign_cleanup_backlog_rows',
      help: 'Expired rows that the cleanup has not deleted yet.',
      labels: { table: firstSeen(30) },
    }),
    cleanupOldestExpiredSeconds: createGauge(registry, {
      name: 'countersign_cleanup_oldest_expired_seconds',
      help: 'How long ago the oldest row that is still there expired.',
      labels: { table: firstSeen(30) },
    }),
    cleanupDeletedRows: createCounter(registry, {
      name: 'countersign_cleanup_deleted_rows_total',
      help: 'Expired rows deleted.',
      labels: { table: firstSeen(30) },
    }),
    certificateReloadsRefused: createCounter(registry, {
      name: 'countersign_certificate_reloads_refused_total',
      help: 'Changed certificates or truststores that were not taken; the old ones stay.',
      labels: {},
    }),
    certificateExpirySeconds: createGauge(registry, {
      name: 'countersign_certificate_expiry_seconds',
      help: 'Seconds until a certificate in use expires; negative afterwards.',
      labels: { name: firstSeen(50) },
    }),
  };
}

function revocationMetrics(
  registry: Registry,
): Pick<Metrics, 'revocationChecks' | 'revocationFailures' | 'revocationListAgeSeconds'> {
  return {
    revocationChecks: createCounter(registry, {
      name: 'countersign_revocation_checks_total',
      help: 'Client certificates checked for revocation, by outcome.',
      labels: { outcome: oneOf(['good', 'revoked', 'unknown', 'accepted']) },
    }),
    revocationFailures: createCounter(registry, {
      name: 'countersign_revocation_failures_total',
      help: 'Revocation lists and OCSP answers that could not be had or used.',
      labels: { method: oneOf(['crl', 'ocsp']) },
    }),
    revocationListAgeSeconds: createGauge(registry, {
      name: 'countersign_revocation_list_age_seconds',
      help: 'Seconds since a revocation list in use was made.',
      labels: { source: firstSeen(100) },
    }),
  };
}

function rotationMetrics(
  registry: Registry,
): Pick<Metrics, 'signatureSeconds' | 'signatureFailures' | 'rotationOverdueSeconds'> {
  const signers = oneOf(['sealed', 'pkcs11', 'remote']);
  return {
    signatureSeconds: createHistogram(registry, {
      name: 'countersign_signature_seconds',
      help: 'Time to sign a token or another message, with waiting for a turn.',
      labels: { signer: signers, algorithm: oneOf(['RS256', 'PS256', 'ES256', 'EdDSA']) },
    }),
    signatureFailures: createCounter(registry, {
      name: 'countersign_signature_failures_total',
      help: 'Signatures that could not be had, by why.',
      labels: { signer: signers, reason: oneOf(['timeout', 'busy', 'unavailable', 'refused']) },
    }),
    rotationOverdueSeconds: createGauge(registry, {
      name: 'countersign_rotation_overdue_seconds',
      help: 'Seconds since a signing key or secret should have been replaced; 0 when it is not due.',
      labels: { of: firstSeen(30) },
    }),
  };
}

/**
 * A registry of its own with Node's default metrics and ours. `version` is the label of `countersign_info`, by which a
 * dashboard counts the replicas of each version.
 */
export function createMetrics({ version = 'unknown' }: { version?: string } = {}): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  createGauge(registry, {
    name: 'countersign_info',
    help: 'Always 1; its label says the version that runs.',
    labels: { version: firstSeen(1) },
  }).set({ version }, 1);
  const collectors: (() => void)[] = [];
  return {
    ...requestMetrics(registry),
    ...loginMetrics(registry),
    ...auditMetrics(registry),
    ...databaseMetrics(registry),
    ...upkeepMetrics(registry),
    ...revocationMetrics(registry),
    ...apiKeyMetrics(registry),
    ...edgeMetrics(registry),
    ...eventMetrics(registry),
    ...rotationMetrics(registry),
    onScrape(collect) {
      collectors.push(collect);
    },
    text() {
      for (const collect of collectors) collect();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}
