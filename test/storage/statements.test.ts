import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Statement } from '../../src/database/sql.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;

beforeAll(async () => {
  ground = await storeGround();
});

afterAll(() => ground.close());

const kinds: Statement = {
  name: 'test_kinds',
  text: `SELECT $1::text AS text, $2::bytea AS bytes, $3::timestamptz AS at, $4::int AS count,
    $5::boolean AS yes, NULL::text AS nothing FROM generate_series(1, $6::int)`,
};

describe('A prepared statement', () => {
  it('gives and takes every kind of value, the first time and later', async () => {
    const at = new Date('2026-11-22T10:00:00.123Z');
    const values = ['ß " \\', new Uint8Array([0, 255, 10]), at, 7, true, 2];
    const row = { text: 'ß " \\', bytes: Buffer.from([0, 255, 10]), at, count: 7, yes: true };
    for (let use = 0; use < 3; use += 1) {
      const rows = await ground.sql.rows(kinds, values);
      expect(rows).toEqual([row, row].map((one) => ({ ...one, nothing: null })));
    }
  });

  it('runs side by side with others, and says how many rows it changed', async () => {
    const counted = (name: string, text: string) =>
      Promise.all([1, 2, 3].map((count) => ground.sql.run({ name, text }, [count])));
    await ground.sql.run({ name: 'test_create', text: 'CREATE TABLE numbers (n int)' }, []);
    const insert = 'INSERT INTO numbers SELECT generate_series(1, $1::int)';
    expect(await counted('test_insert', insert)).toEqual([1, 2, 3]);
    expect(await counted('test_delete', 'DELETE FROM numbers WHERE n > $1')).toHaveLength(3);
    const left = await ground.sql.run({ name: 'test_rest', text: 'SELECT n FROM numbers' }, []);
    expect(left).toBe(3);
  });

  it('that fails says why by its SQLSTATE, and works when the reason is gone', async () => {
    const read: Statement = { name: 'test_late', text: 'SELECT n FROM latecomer WHERE n = $1' };
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(ground.sql.rows(read, [1])).rejects.toMatchObject({ code: '42P01' });
    }
    await ground.sql.run(
      { name: 'test_make', text: 'CREATE TABLE latecomer AS SELECT 1 AS n' },
      [],
    );
    expect(await ground.sql.rows(read, [1])).toEqual([{ n: 1 }]);
    const divide: Statement = { name: 'test_divide', text: 'SELECT 1 / $1::int AS n' };
    await expect(ground.sql.rows(divide, [0])).rejects.toMatchObject({ code: '22012' });
    expect(await ground.sql.rows(divide, [1])).toEqual([{ n: 1 }]);
  });

  it('takes lists as well', async () => {
    const list: Statement = { name: 'test_list', text: 'SELECT unnest($1::text[]) AS word' };
    expect(await ground.sql.rows(list, [['one', 'two']])).toEqual([
      { word: 'one' },
      { word: 'two' },
    ]);
  });
});
