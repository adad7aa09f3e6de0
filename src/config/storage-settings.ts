import { flag, optionalText, setting, text, whole } from './setting.ts';

/** What the server keeps, and where. */
export const storageSettings = {
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
    sentence:
      'Where signing keys to take over (`signing/`) and, in development, everything created lies.',
  }),
  configurationFile: setting({
    variable: 'COUNTERSIGN_CONFIGURATION',
    type: optionalText,
    sentence:
      'Path of a JSON file with resource servers and clients, applied at every start (docs/operations.md).',
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
} as const;
