import type { Sql, Statement } from '../database/sql.ts';
import type { Charge, LimitStore } from './limit-store.ts';

/**
 * A new row holds what was used and what fits of what is wanted. On a row that is there time passes first: its slices
 * move up, or its bucket drains; `granted` brings in what is wanted and tells what was granted. To a row that is gone
 * nothing is given back: that would be a credit. Keys come in order, because two processes that lock the same rows in
 * different orders would wait for each other for ever.
 */
const chargeAll: Statement = {
  name: 'charge_rate_limits',
  text: `
    INSERT INTO rate_limits AS t (key_digest, at, units, drain, ceiling, granted, expires_at)
    SELECT a.key, a.at, array_prepend((a.used + a.fits)::float8, array_fill(0::float8, ARRAY[a.slices - 1])),
      a.drain, a.ceiling, a.fits, to_timestamp(a.expires / 1000)
    FROM (
      SELECT asked.*, told.used, LEAST(asked.want, GREATEST(0, floor(asked.ceiling - told.used)))::int AS fits
      FROM unnest($1::bytea[], $2::bigint[], $3::int[], $4::float8[], $5::float8[], $6::int[], $7::int[], $8::float8[])
        AS asked (key, at, slices, drain, ceiling, balance, want, expires),
      LATERAL (SELECT CASE
        WHEN asked.balance >= 0 THEN asked.balance
        WHEN EXISTS (SELECT 1 FROM rate_limits AS r WHERE r.key_digest = asked.key) THEN asked.balance
        ELSE 0
        END AS used) AS told
    ) AS a
    ORDER BY a.key
    ON CONFLICT (key_digest) DO UPDATE SET (at, units, drain, ceiling, granted, expires_at) = (
      SELECT GREATEST(t.at, excluded.at),
        array_prepend(told.first + own.fits, moved.units[2:]), excluded.drain, excluded.ceiling, own.fits,
        GREATEST(t.expires_at, excluded.expires_at)
      FROM (SELECT GREATEST(0, excluded.at - t.at) AS passed, cardinality(excluded.units) AS slices) AS time,
      LATERAL (SELECT CASE
        WHEN excluded.drain > 0 THEN ARRAY[GREATEST(0, t.units[1] - time.passed * excluded.drain)]
        ELSE (array_fill(0::float8, ARRAY[LEAST(time.passed, time.slices)::int]) || t.units)[1:time.slices]
        END AS units) AS moved,
      LATERAL (SELECT GREATEST(0, moved.units[1] + excluded.units[1] - excluded.granted) AS first) AS told,
      LATERAL (SELECT LEAST(excluded.granted, GREATEST(0, floor(
          excluded.ceiling - told.first - COALESCE(sum(unit), 0) + 1e-9)))::int AS fits
        FROM unnest(moved.units[2:]) AS unit) AS own
    )
    RETURNING key_digest AS key, at, units, granted`,
};

interface Row {
  key: Buffer;
  /** bigint, which pg gives as text. */
  at: string;
  units: number[];
  granted: number;
}

/** Counts in the table rate_limits. */
export function createPostgresLimitStore(sql: Pick<Sql, 'rows'>): LimitStore {
  return {
    async charge(charges, nowMs) {
      const column = <T>(of: (charge: Charge) => T) => charges.map(of);
      const rows = await sql.rows<Row>(chargeAll, [
        column(({ key }) => key),
        column(({ meter }) => Math.floor(nowMs / meter.sliceMs)),
        column(({ meter }) => meter.slices),
        column(({ meter }) => meter.drain),
        column(({ meter }) => meter.ceiling),
        column(({ used }) => used),
        column(({ want }) => want),
        column(({ meter }) => nowMs + meter.memoryMs),
      ]);
      const found = new Map(rows.map((row) => [row.key.toString('latin1'), row]));
      return charges.map(({ key }) => {
        const row = found.get(key.toString('latin1'));
        if (row === undefined) throw new Error('a charge of a rate limit was not answered');
        const { at, units, granted } = row;
        return { count: { at: Number(at), units }, granted };
      });
    },
    close: () => Promise.resolve(),
  };
}
