/**
 * How much, how deep and how long anything from outside may be before it is refused or cut: the one place for all of it.
 * docs/bounds.md tells operators, and a test compares the two.
 */
export const bounds = {
  /** The listeners for clients and browsers. */
  connections: {
    handshakeTimeoutMs: 10_000,
    headersTimeoutMs: 10_000,
    requestTimeoutMs: 30_000,
    keepAliveTimeoutMs: 65_000, // longer than the 60 s of the common load balancers in front
    maxHeaderBytes: 16_384,
    maxHeaders: 100, // a browser sends 20, and proxies add a few
    silenceTimeoutMs: 120_000, // what answers later than this has failed long ago
    maxRequestsPerConnection: 10_000,
    maxConnections: 10_000,
    sessionLifetimeSeconds: 300,
  },
  /** The port for probes and metrics. */
  operations: {
    headersTimeoutMs: 5000,
    requestTimeoutMs: 5000,
    keepAliveTimeoutMs: 5000,
    silenceTimeoutMs: 30_000,
    maxHeaderBytes: 16_384,
    maxHeaders: 100,
    maxConnections: 100,
  },
  forms: {
    maxBytes: 8192,
    maxFields: 10,
    /** One box for each account and permission that a customer chooses from. */
    maxFieldsOfDecision: 210,
  },
  /** Authorization and logout requests that come by POST and go on by GET. */
  postedRequests: {
    maxBytes: 8192,
    maxFields: 40, // a request may be for several resource servers (RFC 8707 §2)
    maxUrlLength: 8192, // half of what `connections` leaves to a request line with all headers
  },
  /** Token, introspection, revocation, pushed request: oidc-provider's own (its selective_body.js). */
  protocolForms: { maxBytes: 57_344 },
  /** `claims` and `authorization_details`: OpenID Connect Core §5.5 needs 4 levels, consents a few more. */
  parameters: { maxDepth: 8, maxLength: 8192 },
  consentRequests: { maxBytes: 32_768, maxDepth: 10 },
  apiKeyRequests: { maxBytes: 16_384, maxDepth: 5 },
  /** A thousand acknowledgements. */
  eventPolls: { maxBytes: 65_536, maxDepth: 4 },
  /** JSON within JSON: metadata, a key set, a key. */
  registrations: { maxBytes: 65_536, maxDepth: 8, maxStatementDepth: 10 },
  keySets: { maxDepth: 8 },
  edge: { maxPathLength: 2048 },
  /** Real certificates have some hundred bytes of statements about payment services. */
  certificates: { maxStatementBytes: 8192 },
  /** As they are sent: of one file, and of all that are kept in memory. */
  revocationLists: { maxFileBytes: 67_108_864, maxKeptBytes: 268_435_456 },
  /** What other servers answer to us. */
  answers: {
    maxBytes: 262_144, // 100 keys with their certificate chains stay below it
    maxReceiverBytes: 16_384, // an error in a line
    maxRevocationListBytes: 10_485_760, // national lists have some hundred kilobytes; about 280,000 certificates
  },
} as const;
