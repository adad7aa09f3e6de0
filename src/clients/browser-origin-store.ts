import { setImmediate as nextTurn } from 'node:timers/promises';
import { memoryMs } from '../database/changes.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { Sql, Statement } from '../database/sql.ts';
import { runWithoutRequest } from '../observability/request-context.ts';
import { webOriginOf } from '../security/web-origin.ts';
import { createOriginIndex } from './origin-index.ts';
import type { ClientOrigins } from './origin-index.ts';

/** From where scripts of clients call: preflights name no client, so it must be known of all of them. */
export interface BrowserOrigins {
  /**
   * Whether an active client has a redirect URI of this origin: `browser` for clients without a secret, `any` for all. Rejects
   * while the database is away and changes were not heard.
   */
  has(origin: string, whose: 'browser' | 'any'): Promise<boolean>;
}

interface Dependencies {
  sql: Pick<Sql, 'rows'>;
  /** Changes that any process made. */
  changes: ChangeSource;
}

interface Row {
  id: string;
  redirectUris: unknown;
  isBrowser: boolean | null;
}

const columns = `SELECT id, metadata->'redirect_uris' AS "redirectUris",
    metadata->>'token_endpoint_auth_method' = 'none' AS "isBrowser"
  FROM clients WHERE status = 'active'`;

const all: Statement = { name: 'client-origins-all', text: columns };
const some: Statement = { name: 'client-origins-some', text: `${columns} AND id = ANY($1)` };

/** So many changed clients are read one by one; beyond that all are. */
const maxChanged = 500;

/**
 * Milliseconds for which all are remembered while changes are not heard. Everybody may ask, so it is no shorter: parsing all
 * takes some 5 µs per client.
 */
const unheardMs = 5000;

/** So many are parsed at once, in some milliseconds; then others have their turn. */
const rowsAtOnce = 1000;

/**
 * The origins of all active clients in memory: asking for one costs no statement, whatever it is. Clients that changed are
 * read again at the next question; all of them when changes may have been missed, and each 5 s while they are not heard.
 */
export function createBrowserOrigins({ sql, changes }: Dependencies): BrowserOrigins {
  let index = createOriginIndex();
  let changed: Set<string> | 'all' = 'all';
  let readAt = -Infinity;
  let reading: Promise<void> | undefined;

  changes.subscribe('clients', (id) => {
    if (id === undefined || changed === 'all' || changed.size >= maxChanged) changed = 'all';
    else changed.add(id);
  });

  function dueNow(): readonly string[] | 'all' {
    const age = performance.now() - readAt;
    // Whoever does not hear changes is told again and again that anything may have changed.
    if (!changes.isLive()) return age >= unheardMs ? 'all' : [];
    return age >= memoryMs(changes) || changed === 'all' ? 'all' : [...changed];
  }

  async function read(due: readonly string[] | 'all'): Promise<void> {
    changed = new Set();
    const startedAt = performance.now();
    try {
      if (due === 'all') {
        index = await indexOf(await sql.rows<Row>(all, []));
        readAt = startedAt;
      } else index.replace(due, (await sql.rows<Row>(some, [due])).map(originsOf));
    } catch (error) {
      changed = 'all';
      throw error;
    }
  }

  function readOnce(due: readonly string[] | 'all'): Promise<void> {
    // It is shared, so it is nobody's in the log.
    reading ??= runWithoutRequest(() => read(due)).finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    async has(origin, whose) {
      if (webOriginOf(origin) !== origin) return false;
      await reading?.catch(() => undefined); // it began before this question, and may lack what was heard since
      const due = dueNow();
      await (due.length > 0 ? readOnce(due) : reading);
      return index.has(origin, whose);
    },
  };
}

async function indexOf(rows: readonly Row[]): Promise<ReturnType<typeof createOriginIndex>> {
  const index = createOriginIndex();
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    if (from > 0) await nextTurn();
    index.replace([], rows.slice(from, from + rowsAtOnce).map(originsOf));
  }
  return index;
}

function originsOf({ id, redirectUris, isBrowser }: Row): ClientOrigins {
  const uris: unknown[] = Array.isArray(redirectUris) ? redirectUris : [];
  const origins = uris.flatMap((uri) => (typeof uri === 'string' ? (webOriginOf(uri) ?? []) : []));
  return { id, origins: [...new Set(origins)], isBrowser: isBrowser === true };
}
