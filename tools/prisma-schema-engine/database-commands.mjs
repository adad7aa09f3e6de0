import pg from 'pg';
import { urlOfDatabase } from './adapter.mjs';

const CONNECT_TIMEOUT_MS = 10_000;

/** SQLSTATE to the code that the CLI explains to its user; everything else means "can't reach the server". */
const CODES = { '3D000': 'P1003', '42P04': 'P1009', '28P01': 'P1000', 28000: 'P1000' };

async function run(url, sql) {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  await client.connect();
  try {
    if (sql) await client.query(sql);
  } finally {
    await client.end();
  }
}

function nameOf(url) {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

/** The commands that the CLI starts as `schema-engine cli <command>`. */
const COMMANDS = {
  'can-connect-to-database': (url) => run(url),
  'create-database': (url) =>
    run(urlOfDatabase(url, 'postgres'), `CREATE DATABASE ${pg.escapeIdentifier(nameOf(url))}`),
  'drop-database': (url) =>
    run(
      urlOfDatabase(url, 'postgres'),
      `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(nameOf(url))} WITH (FORCE)`,
    ),
};

/**
 * Runs one command and answers as the native engine does: exit code 0, or 1 with the reason as a JSON line on stderr.
 * @param {string} name one of the commands above
 * @param {string} url connection string of the database
 * @returns {Promise<number>} the exit code
 */
export async function runDatabaseCommand(name, url) {
  try {
    const command = COMMANDS[name];
    if (!command) throw new Error(`The stand-in schema engine has no command ${name}`);
    await command(url);
    return 0;
  } catch (error) {
    const fields = { message: error.message, error_code: CODES[error.code] ?? 'P1001' };
    const line = { level: 'ERROR', target: 'schema_engine::logger', fields };
    // The CLI drops the first line and parses the others.
    process.stderr.write(`{}\n${JSON.stringify(line)}\n`);
    return 1;
  }
}
