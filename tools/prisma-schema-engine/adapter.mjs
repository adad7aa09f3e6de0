import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import pg from 'pg';

/** Type number of the internal type "char", which pg_catalog uses and adapter-pg 7.10 refuses. */
const INTERNAL_CHAR = 18;
const TEXT = 25;

/**
 * The same database server, another database.
 * @param {string} url
 * @param {string} name
 */
export function urlOfDatabase(url, name) {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(name)}`;
  return other.href;
}

/**
 * Lets "char" columns through as text and remembers where they stood, so that they can be reported as characters: the
 * engine panics on a CHECK constraint whose type arrives as text.
 * @param {pg.Pool} pool
 */
function rememberCharColumns(pool) {
  const positionsByRows = new WeakMap();
  const send = pool.query.bind(pool);
  pool.query = async (query) => {
    const result = await send(query);
    const fields = result.fields ?? [];
    const positions = fields.flatMap((field, i) => (field.dataTypeID === INTERNAL_CHAR ? [i] : []));
    for (const position of positions) fields[position].dataTypeID = TEXT;
    if (result.rows) positionsByRows.set(result.rows, positions);
    return result;
  };
  return positionsByRows;
}

/**
 * Opens adapter-pg as the schema engine needs it: "char" columns are readable, a script is sent whole (adapter-pg cuts
 * it at every semicolon, also inside a function body), and everything runs in one session, which holds the advisory
 * lock, in UTC, because the engine sends timestamps without a zone.
 */
async function open(url) {
  const pool = new pg.Pool({ connectionString: url, max: 1, options: '-c timezone=UTC' });
  const charPositions = rememberCharColumns(pool);
  const adapter = await new PrismaPg(pool).connect();
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const answer = await queryRaw(query);
    for (const position of charPositions.get(answer.rows) ?? []) {
      answer.columnTypes[position] = ColumnTypeEnum.Character;
    }
    return answer;
  };
  adapter.executeScript = async (script) => {
    await pool.query(script).catch((error) => adapter.onError(error));
  };
  adapter.dispose = async () => {
    if (!pool.ended) await pool.end();
  };
  return adapter;
}

/** A database beside the real one, in which the engine replays migrations; dropped when the engine lets it go. */
async function openShadow(url) {
  const name = `prisma_migrate_shadow_db_${randomUUID()}`;
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(`CREATE DATABASE "${name}"`);
  const shadow = await open(urlOfDatabase(url, name));
  const disconnect = shadow.dispose;
  let dropped;
  const drop = async () => {
    await disconnect();
    await admin.query(`DROP DATABASE "${name}" WITH (FORCE)`);
    await admin.end();
  };
  shadow.dispose = () => (dropped ??= drop());
  return shadow;
}

/**
 * The connections that the schema engine asks for, with a `close` that ends those that it never gave back.
 * @param {string} url connection string of the database
 */
export function createSchemaAdapter(url) {
  const opened = [];
  const keep = async (opening) => {
    const connection = await opening;
    opened.push(connection);
    return connection;
  };
  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: () => keep(open(url)),
    connectToShadowDb: () => keep(openShadow(url)),
    async close() {
      for (const connection of opened) await connection.dispose();
    },
  };
}
