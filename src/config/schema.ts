import { z } from 'zod';

/** One setting: where it comes from, what it may be, and the sentence that the README shows. */
export interface Setting<T> {
  /** Environment variable; `<variable>_FILE` names a file that holds the value instead. */
  variable: string;
  /** Reads the text of the variable. */
  type: z.ZodType<T>;
  /** The value as one would write it, when the variable is not set. */
  fallback?: string;
  unit?: string;
  /** Never shown, printed or logged. */
  secret?: true;
  sentence: string;
}

function setting<T>(definition: Setting<T>): Setting<T> {
  return definition;
}

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must lie between ${String(min)} and ${String(max)}`);

const text = z.string().min(1);
const optionalText = text.optional();
const port = whole(0, 65535);
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');

const origin = z.string().refine((value) => {
  const url = URL.parse(value);
  return url !== null && url.origin === value;
}, 'must be an origin such as https://auth.bank.example, without a path or trailing slash');

const key256 = z
  .string()
  .transform((value) => value.split(',').map((part) => Buffer.from(part.trim(), 'base64url')))
  .refine((keys) => keys.every((key) => key.length === 32), 'must be 32 bytes, base64url');

/** Every setting of the server. The README's table is made from this. */
export const settings = {
  environment: setting({
    variable: 'COUNTERSIGN_ENV',
    type: z.enum(['development', 'production']),
    fallback: 'development',
    sentence:
      'In `development` the first start creates keys, certificates, a database and sample data; `production` creates nothing and refuses anything unsafe. NODE_ENV=production counts as `production` when this is not set.',
  }),
  issuer: setting({
    variable: 'COUNTERSIGN_ISSUER',
    type: origin,
    fallback: 'https://localhost:3443',
    sentence: 'The issuer identifier: the https origin that browsers and clients use.',
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
  databaseUrl: setting({
    variable: 'DATABASE_URL',
    type: optionalText,
    secret: true,
    sentence:
      'The Postgres to use (15 to 18). Without it an embedded one keeps its files in the data directory.',
  }),
  allowEmbeddedDatabase: setting({
    variable: 'COUNTERSIGN_ALLOW_EMBEDDED_DATABASE',
    type: flag,
    fallback: 'false',
    sentence: 'Allows the embedded database in production.',
  }),
  databasePoolSize: setting({
    variable: 'COUNTERSIGN_DATABASE_POOL_SIZE',
    type: whole(1, 200),
    fallback: '10',
    unit: 'connections',
    sentence: 'How many database connections one process holds at most.',
  }),
  databaseTimeoutMs: setting({
    variable: 'COUNTERSIGN_DATABASE_TIMEOUT_MS',
    type: whole(100, 60_000),
    fallback: '5000',
    unit: 'ms',
    sentence: 'How long a database statement, or the wait for a connection, may take.',
  }),
  migrateAtStart: setting({
    variable: 'COUNTERSIGN_MIGRATE_AT_START',
    type: flag,
    fallback: 'true',
    sentence: 'Applies pending migrations at start; several replicas may start together.',
  }),
  dataDirectory: setting({
    variable: 'COUNTERSIGN_DATA_DIRECTORY',
    type: text,
    fallback: 'data',
    sentence: 'Where the embedded database lives.',
  }),
  keysDirectory: setting({
    variable: 'COUNTERSIGN_KEYS_DIRECTORY',
    type: text,
    fallback: 'keys',
    sentence: 'Where signing keys (`signing/`) and, in development, everything created lies.',
  }),
  configurationFile: setting({
    variable: 'COUNTERSIGN_CONFIGURATION',
    type: optionalText,
    sentence:
      'Path of a JSON file with resource servers and clients, applied at every start (docs/operations.md).',
  }),
  cookieKeys: setting({
    variable: 'COUNTERSIGN_COOKIE_KEYS',
    type: key256.optional(),
    secret: true,
    sentence: 'Keys that sign cookies and forms, 32 bytes base64url each; the first signs, all verify.',
  }),
  encryptionKeys: setting({
    variable: 'COUNTERSIGN_ENCRYPTION_KEYS',
    type: key256.optional(),
    secret: true,
    sentence: 'Keys that encrypt what the database keeps; the first encrypts, all decrypt.',
  }),
  digestKey: setting({
    variable: 'COUNTERSIGN_DIGEST_KEY',
    type: key256.optional(),
    secret: true,
    sentence: 'Key of the digests of client secrets, user names and throttles, 32 bytes base64url.',
  }),
  pairwiseSalt: setting({
    variable: 'COUNTERSIGN_PAIRWISE_SALT',
    type: key256.optional(),
    secret: true,
    sentence: 'Salt of pairwise subjects, 32 bytes base64url. Never change it: subjects would change.',
  }),
  authorizationCodeTtlSeconds: setting({
    variable: 'COUNTERSIGN_AUTHORIZATION_CODE_TTL',
    type: whole(10, 60),
    fallback: '60',
    unit: 's',
    sentence: 'How long an authorization code lives (RFC 9700, FAPI 2: at most 60 s).',
  }),
  accessTokenTtlSeconds: setting({
    variable: 'COUNTERSIGN_ACCESS_TOKEN_TTL',
    type: whole(60, 900),
    fallback: '600',
    unit: 's',
    sentence: 'How long an access token lives where the resource server does not say.',
  }),
  refreshTokenTtlSeconds: setting({
    variable: 'COUNTERSIGN_REFRESH_TOKEN_TTL',
    type: whole(60, 31_536_000),
    fallback: '7776000',
    unit: 's',
    sentence: 'The absolute lifetime of a refresh token and of what the customer allowed; rotation does not extend it.',
  }),
  sessionTtlSeconds: setting({
    variable: 'COUNTERSIGN_SESSION_TTL',
    type: whole(60, 604_800),
    fallback: '3600',
    unit: 's',
    sentence: 'How long a customer stays signed in.',
  }),
  interactionTtlSeconds: setting({
    variable: 'COUNTERSIGN_INTERACTION_TTL',
    type: whole(60, 3600),
    fallback: '900',
    unit: 's',
    sentence: 'How long a customer may take over the login and consent pages.',
  }),
  defaultResource: setting({
    variable: 'COUNTERSIGN_DEFAULT_RESOURCE',
    type: z.url().optional(),
    sentence:
      'The resource server that access tokens are for when a client names none; without it the first one that the client may use.',
  }),
  argon2MemoryKib: setting({
    variable: 'COUNTERSIGN_ARGON2_MEMORY',
    type: whole(7168, 1_048_576),
    fallback: '19456',
    unit: 'KiB',
    sentence: 'Memory of one argon2id password hash (OWASP: 19 MiB with two passes).',
  }),
  argon2Passes: setting({
    variable: 'COUNTERSIGN_ARGON2_PASSES',
    type: whole(1, 20),
    fallback: '2',
    sentence: 'Passes of one argon2id password hash.',
  }),
  argon2Parallelism: setting({
    variable: 'COUNTERSIGN_ARGON2_PARALLELISM',
    type: whole(1, 16),
    fallback: '1',
    sentence: 'Lanes of one argon2id password hash.',
  }),
  passwordHashConcurrency: setting({
    variable: 'COUNTERSIGN_PASSWORD_HASH_CONCURRENCY',
    type: whole(1, 64),
    fallback: '2',
    sentence: 'How many passwords are hashed at once, so that logins never starve tokens.',
  }),
  passwordHashQueue: setting({
    variable: 'COUNTERSIGN_PASSWORD_HASH_QUEUE',
    type: whole(1, 10_000),
    fallback: '100',
    sentence: 'How many logins may wait for their turn before the server asks to come back later.',
  }),
  brandName: setting({
    variable: 'COUNTERSIGN_BRAND_NAME',
    type: z.string().min(1).max(60),
    fallback: 'Countersign Bank',
    sentence: "The bank's name on the hosted pages.",
  }),
  brandLogoFile: setting({
    variable: 'COUNTERSIGN_BRAND_LOGO',
    type: optionalText,
    sentence: "Path of the bank's logo (svg or png) for the hosted pages.",
  }),
  brandThemeFile: setting({
    variable: 'COUNTERSIGN_BRAND_THEME',
    type: optionalText,
    sentence: 'Path of a small CSS file that sets the variables of views/assets/theme-example.css.',
  }),
  brandHelpUrl: setting({
    variable: 'COUNTERSIGN_BRAND_HELP_URL',
    type: z.url({ protocol: /^https$/ }).optional(),
    sentence: 'Where the help link of the hosted pages leads.',
  }),
  logLevel: setting({
    variable: 'COUNTERSIGN_LOG_LEVEL',
    type: z.enum(['debug', 'info', 'warn', 'error']),
    fallback: 'info',
    sentence: 'The least severe log line that is written.',
  }),
  logFormat: setting({
    variable: 'COUNTERSIGN_LOG_FORMAT',
    type: z.enum(['json', 'text']).optional(),
    sentence:
      'One JSON object a line, or text to read; `text` in development and `json` in production when not set.',
  }),
  cleanupIntervalSeconds: setting({
    variable: 'COUNTERSIGN_CLEANUP_INTERVAL',
    type: whole(0, 86_400),
    fallback: '60',
    unit: 's',
    sentence: 'How often expired rows are deleted; 0 turns it off.',
  }),
  cleanupBatchSize: setting({
    variable: 'COUNTERSIGN_CLEANUP_BATCH',
    type: whole(1, 10_000),
    fallback: '500',
    unit: 'rows',
    sentence: 'How many expired rows one statement deletes.',
  }),
  auditRetentionDays: setting({
    variable: 'COUNTERSIGN_AUDIT_RETENTION',
    type: whole(1, 36_500).optional(),
    unit: 'days',
    sentence: 'How long audit events are kept; for ever when not set.',
  }),
  drainSeconds: setting({
    variable: 'COUNTERSIGN_DRAIN',
    type: whole(0, 300),
    fallback: '10',
    unit: 's',
    sentence: 'How long running requests may take after SIGTERM.',
  }),
} as const;

type Settings = typeof settings;

/** The configuration: a frozen value with one member a setting. */
export type Configuration = Readonly<{
  [K in keyof Settings]: Settings[K] extends Setting<infer T> ? T : never;
}>;
