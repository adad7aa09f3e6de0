import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { PrismaClient } from './generated/client.ts';
import { createSql } from './sql.ts';
import type { Sql } from './sql.ts';

/** A connection string, or the socket of the embedded server (`host` is then a folder). */
export type DatabaseConnection =
  { connectionString: string } | { host: string; port: number; user: string; database: string };

/** How to open the database. */
export interface DatabaseOptions {
  connection: DatabaseConnection;
  /** Sessions at most. */
  poolSize: number;
  /** The server gives up a statement after this time. */
  statementTimeoutMs: number;
  /** Time for getting a session, free or new. */
  connectTimeoutMs: number;
  logger: Logger;
}

/** The open database. */
export interface Database {
  prisma: PrismaClient;
  /** The same sessions for the statements that every token or page needs. */
  sql: Sql;
  /** Resolves when the database answers; else Problem database_unavailable. */
  ping(): Promise<void>;
  /** Ends all sessions once their statements are done. */
  close(): Promise<void>;
  /** Sessions open, sessions unused, and callers waiting for one. */
  stats(): { total: number; idle: number; waiting: number };
}

const APPLICATION_NAME = 'countersign';
/** After the server should have given up a statement by itself: then it is the network that has gone silent. */
const SILENCE_MS = 2_000;
/** Our own statements are far fewer; query shapes with lists of varying length must not fill the server's memory. */
const MAX_NAMED_STATEMENTS = 300;

/**
 * The connection in pg's words. A unix socket never has TLS, whatever PGSSLMODE says.
 */
export function connectionConfig(connection: DatabaseConnection): pg.ClientConfig {
  const onSocket = 'host' in connection && connection.host.startsWith('/');
  return { ...connection, ...(onSocket && { ssl: false }), application_name: APPLICATION_NAME };
}

/** Prisma's own parameter for "through PgBouncer", which refuses session settings and, before 1.21, named statements. */
export function isBehindPgBouncer(connection: DatabaseConnection): boolean {
  return (
    'connectionString' in connection &&
    /[?&]pgbouncer=true(?:&|$)/.test(connection.connectionString)
  );
}

function openPool(options: DatabaseOptions, behindPgBouncer: boolean): pg.Pool {
  const { connection, poolSize, statementTimeoutMs, connectTimeoutMs, logger } = options;
  const pool = new pg.Pool({
    ...connectionConfig(connection),
    max: poolSize,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs + SILENCE_MS,
    keepAlive: true,
    ...(!behindPgBouncer && { statement_timeout: statementTimeoutMs }),
  });
  // Without a listener a lost idle session would end the process. The pool replaces it by itself.
  pool.on('error', (error) => {
    logger.warn('A database session was lost', { error });
  });
  return pool;
}

/**
 * Names statements so that the server keeps their plans: 7 to 20 % more calls per second on one session. The first
 * ones get a name, later ones none.
 */
export function createStatementNames(limit: number): (query: { sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= limit) return ''; // pg: not named
    const name = `countersign_${String(names.size)}`;
    names.set(sql, name);
    return name;
  };
}

async function ping(pool: pg.Pool): Promise<void> {
  try {
    await pool.query('SELECT 1');
  } catch (error) {
    throw new Problem('database_unavailable', {
      detail: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

/**
 * Opens the database: Prisma and plain statements on one pool of sessions. Nothing is connected yet; each call connects as it needs, so a
 * database that comes back is used again without a restart. See {@link isDatabaseUnavailable} in unavailable.ts for
 * the errors of one that is away.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const behindPgBouncer = isBehindPgBouncer(options.connection);
  const pool = openPool(options, behindPgBouncer);
  const adapter = new PrismaPg(pool, {
    onConnectionError: (error) => {
      options.logger.warn('A database session was lost in a transaction', { error });
    },
    ...(!behindPgBouncer && { statementNameGenerator: createStatementNames(MAX_NAMED_STATEMENTS) }),
  });
  // "minimal": Prisma's longer messages repeat arguments, which may be secrets.
  const prisma = new PrismaClient({ adapter, errorFormat: 'minimal' });
  return {
    prisma,
    sql: createSql(pool, { areNamed: !behindPgBouncer }),
    ping: () => ping(pool),
    async close() {
      await prisma.$disconnect();
      await pool.end();
    },
    stats: () => ({
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
  };
}
