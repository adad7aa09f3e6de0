import type pg from 'pg';

/** A statement that is sent time and again; the database keeps its plan under the name. */
export interface Statement {
  /** Unique among all statements. */
  readonly name: string;
  readonly text: string;
}

type Scalar = string | number | boolean | Date | Uint8Array | null;

/** What a statement takes: text, numbers, times, bytes, or several for `unnest`. */
export type SqlValue = Scalar | readonly Scalar[];

/**
 * The hottest statements, straight to `pg`: the model API of Prisma costs 100 to 200 µs of CPU more for each call.
 * Everything else goes through Prisma. Errors are those of `pg`, with the SQLSTATE in `code`.
 */
export interface Sql {
  /** The rows, their columns named as in the statement. */
  rows<Row extends object>(statement: Statement, values: readonly SqlValue[]): Promise<Row[]>;
  /** How many rows were inserted, changed or deleted. */
  run(statement: Statement, values: readonly SqlValue[]): Promise<number>;
}

/** Statements over `pool`; `areNamed` is false where sessions are not ours from one statement to the next. */
export function createSql(pool: Pick<pg.Pool, 'query'>, { areNamed }: { areNamed: boolean }): Sql {
  const send = ({ name, text }: Statement, values: readonly SqlValue[]) =>
    pool.query<Record<string, unknown>>(
      areNamed ? { name, text, values: [...values] } : { text, values: [...values] },
    );
  return {
    async rows<Row extends object>(statement: Statement, values: readonly SqlValue[]) {
      return (await send(statement, values)).rows as Row[];
    },
    async run(statement, values) {
      return (await send(statement, values)).rowCount ?? 0;
    },
  };
}
