import { Problem } from '../problem.ts';

/** An error as pg, Prisma or its adapter may shape it. */
interface ErrorShape {
  code?: unknown;
  originalCode?: unknown;
  kind?: unknown;
  message?: unknown;
  cause?: unknown;
  meta?: { driverAdapterError?: unknown };
}

/**
 * SQLSTATE: connection lost (08), login refused (28), a standby after a failover (25006), no such database (3D000),
 * out of resources (53), a database closed to sessions (55000), statement timeout and shutdown (57), and the disk (58).
 */
const SQLSTATES = /^(?:08...|28...|25006|3D000|53...|55000|57...|58...)$/;

/** Prisma: login, reach, time, missing database, lost connection, full pool, no transaction in time. */
const PRISMA_CODES = /^(?:P1000|P1001|P1002|P1003|P1008|P1017|P2024|P2028)$/;

const SYSTEM_CODES =
  /^(?:ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN)$/;

/** Kinds of `DriverAdapterError`; raw queries carry no other sign. */
const KINDS =
  /^(?:DatabaseNotReachable|ConnectionClosed|SocketTimeout|TooManyConnections|TlsConnectionError)$/;

/** Errors of pg and its pool that have no code, on any line because Prisma puts its own before them; ENOENT and EACCES are those of a unix socket only with "connect". */
const MESSAGES =
  /^(?:timeout exceeded when trying to connect|timeout expired|Query read timeout|Connection terminated|Client has encountered a connection error|Cannot use a pool after|connect (?:ENOENT|EACCES))/m;

/** The error, what caused it, and what Prisma wraps; bounded, because a cause may lead back to itself. */
function layers(error: unknown, depth = 5): ErrorShape[] {
  if (typeof error !== 'object' || error === null || depth === 0) return [];
  const shape = error as ErrorShape;
  return [
    shape,
    ...layers(shape.cause, depth - 1),
    ...layers(shape.meta?.driverAdapterError, depth - 1),
  ];
}

function matches(pattern: RegExp, value: unknown): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function isSign(layer: ErrorShape): boolean {
  const codes = [layer.code, layer.originalCode];
  return (
    codes.some((code) =>
      [SQLSTATES, PRISMA_CODES, SYSTEM_CODES].some((set) => matches(set, code)),
    ) ||
    matches(KINDS, layer.kind) ||
    matches(MESSAGES, layer.message)
  );
}

/**
 * Whether an error means that the database could not be used: not reached, refused us, lost, out of resources or too
 * slow. Whether the statement was done is then unknown. Anything else (a constraint, a mistake of ours) is false.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof Problem) return error.code === 'database_unavailable';
  return layers(error).some(isSign);
}
