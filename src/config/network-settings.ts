import { hostList, oneOf, optionalText, origin, port, setting, text, whole } from './setting.ts';

/** Where the server is reached, how it proves itself there, and what it says of itself. */
export const networkSettings = {
  environment: setting({
    variable: 'COUNTERSIGN_ENV',
    type: oneOf(['development', 'production']),
    fallback: 'development',
    sentence:
      'In `development` the first start creates keys, certificates, a database and sample data; `production` creates nothing and refuses anything unsafe. NODE_ENV=production counts as `production` when this is not set.',
  }),
  issuer: setting({
    variable: 'COUNTERSIGN_ISSUER',
    type: origin,
    fallback: 'https://localhost:3443',
    sentence:
      'The issuer identifier: the https origin that browsers and clients use. With another port and no issuer it is that port on localhost.',
  }),
  mtlsOrigin: setting({
    variable: 'COUNTERSIGN_MTLS_ORIGIN',
    type: origin,
    fallback: 'https://localhost:3444',
    sentence: 'The https origin for clients that present a certificate (RFC 8705 §5).',
  }),
  listenAddress: setting({
    variable: 'COUNTERSIGN_LISTEN_ADDRESS',
    type: text,
    fallback: '127.0.0.1',
    sentence: 'The address that both https listeners bind to; `0.0.0.0` or `::` for all.',
  }),
  port: setting({
    variable: 'COUNTERSIGN_PORT',
    type: port,
    fallback: '3443',
    sentence: 'The port of the listener for browsers and clients.',
  }),
  mtlsPort: setting({
    variable: 'COUNTERSIGN_MTLS_PORT',
    type: port,
    fallback: '3444',
    sentence: 'The port of the listener that asks for client certificates.',
  }),
  operationsAddress: setting({
    variable: 'COUNTERSIGN_OPERATIONS_ADDRESS',
    type: text,
    fallback: '127.0.0.1',
    sentence: 'The address of liveness, readiness and metrics (plain http): keep it private.',
  }),
  operationsPort: setting({
    variable: 'COUNTERSIGN_OPERATIONS_PORT',
    type: port,
    fallback: '3445',
    sentence: 'The port of liveness, readiness and metrics.',
  }),
  tlsCertificate: setting({
    variable: 'COUNTERSIGN_TLS_CERTIFICATE',
    type: optionalText,
    sentence: 'The server certificate chain, PEM.',
  }),
  tlsPrivateKey: setting({
    variable: 'COUNTERSIGN_TLS_PRIVATE_KEY',
    type: optionalText,
    secret: true,
    sentence: "The server certificate's private key, PEM.",
  }),
  clientTruststore: setting({
    variable: 'COUNTERSIGN_CLIENT_TRUSTSTORE',
    type: optionalText,
    sentence: 'The CA certificates whose client certificates are trusted, PEM.',
  }),
  outboundAllow: setting({
    variable: 'COUNTERSIGN_OUTBOUND_ALLOW',
    type: hostList,
    fallback: '',
    sentence:
      "Hosts (`host` or `host:port`, separated by commas) that requests to clients' servers may reach at private addresses; public ones need no entry.",
  }),
  outboundTruststore: setting({
    variable: 'COUNTERSIGN_OUTBOUND_TRUSTSTORE',
    type: optionalText,
    sentence:
      "CA certificates that clients' servers may have besides the well-known ones, PEM: a directory's own, for instance.",
  }),
  outboundTimeoutMs: setting({
    variable: 'COUNTERSIGN_OUTBOUND_TIMEOUT_MS',
    type: whole(100, 10_000),
    fallback: '2500',
    unit: 'ms',
    sentence: "How long a request to a client's server may take: key sets, back-channel logout.",
  }),
  drainSeconds: setting({
    variable: 'COUNTERSIGN_DRAIN',
    type: whole(0, 300),
    fallback: '10',
    unit: 's',
    sentence: 'How long running requests may take after SIGTERM.',
  }),
  logLevel: setting({
    variable: 'COUNTERSIGN_LOG_LEVEL',
    type: oneOf(['debug', 'info', 'warn', 'error']),
    fallback: 'info',
    sentence: 'The least severe log line that is written.',
  }),
  logFormat: setting({
    variable: 'COUNTERSIGN_LOG_FORMAT',
    type: oneOf(['json', 'text']).optional(),
    sentence:
      'One JSON object a line, or text to read; `text` in development and `json` in production when not set.',
  }),
} as const;
