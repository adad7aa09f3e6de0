import type { Clock } from '../clock.ts';
import { secondsFromNow } from '../clock.ts';
import type { Sql, Statement } from '../database/sql.ts';
import { networkOf } from '../security/network-of.ts';
import { keyedDigest } from '../security/secrets.ts';
import { normalisePassword, normaliseUsername } from './customer.ts';

/** What a login is made of. */
export interface TriedLogin {
  username: string;
  address: string;
  password: string;
}

/** How logins look alike. */
export type PatternKind = 'network' | 'password';

/** That many accounts were tried in the same way. */
export interface LoginPattern {
  kind: PatternKind;
  /** Different accounts that failed in this way lately, counted up to 50. */
  accounts: number;
  /** Tells patterns of a kind apart; says nothing about them. */
  name: string;
}

/** Failed logins of all processes, compared with each other. */
export interface LoginPatterns {
  /** What an attempt has in common with failures of other accounts, before its password is looked at. */
  look(tried: TriedLogin): Promise<LoginPattern[]>;
  /** Notes a failure; tells what it has in common with others. */
  failed(tried: TriedLogin): Promise<LoginPattern[]>;
  /** The owner has come in: their failures from this network were mistakes. */
  succeeded(tried: TriedLogin): Promise<void>;
}

/** Twice as many would say no more. */
const mostCounted = 50;

/** Stuffing comes in bursts; what customers mistype in a quarter of an hour tells nothing about the next one. */
const memorySeconds = 900;

const count = `
  SELECT p.pattern AS pattern, (SELECT count(*)::int FROM (
    SELECT 1 FROM login_patterns AS l
    WHERE l.pattern_digest = p.pattern AND l.expires_at > $3 AND l.account_digest <> $2 LIMIT ${String(mostCounted)}
  ) AS few) AS others
  FROM unnest($1::bytea[]) AS p (pattern)`;

const statements = {
  look: { name: 'login_patterns_look', text: count },
  note: {
    name: 'login_patterns_note',
    text: `
      WITH noted AS (
        INSERT INTO login_patterns (pattern_digest, account_digest, expires_at)
        SELECT p.pattern, $2, $4 FROM unnest($1::bytea[]) AS p (pattern) ORDER BY 1
        ON CONFLICT (pattern_digest, account_digest) DO UPDATE SET expires_at = excluded.expires_at)
      ${count}`,
  },
  forget: {
    name: 'login_patterns_forget',
    text: 'DELETE FROM login_patterns WHERE pattern_digest = $1 AND account_digest = $2',
  },
} as const satisfies Record<string, Statement>;

interface Row {
  pattern: Buffer;
  others: number;
}

/**
 * Keeps digests only, under a key. Of a password's it keeps 24 bits: enough to notice that many accounts are tried with
 * the same one, too little to tell which one it was, or to test guesses against.
 */
export function createLoginPatterns({
  sql,
  digestKey,
  clock,
}: {
  sql: Sql;
  digestKey: Buffer;
  clock: Clock;
}): LoginPatterns {
  const digest = (text: string) => keyedDigest(digestKey, 'login-pattern', text);

  function digestsOf({ username, address, password }: TriedLogin) {
    const network = digest(`network ${networkOf(address)}`);
    const words = digest(`password ${normalisePassword(password)}`).subarray(0, 3);
    const patterns: Record<PatternKind, Buffer> = { network, password: words };
    return { patterns, account: digest(`account ${normaliseUsername(username)}`) };
  }

  function named(patterns: Record<PatternKind, Buffer>, rows: readonly Row[], own: number) {
    return (['network', 'password'] as const).map((kind) => {
      const name = patterns[kind].toString('base64url');
      const found = rows.find(({ pattern }) => pattern.equals(patterns[kind]));
      return { kind, name, accounts: (found?.others ?? 0) + own };
    });
  }

  return {
    async look(tried) {
      const { patterns, account } = digestsOf(tried);
      const values = [Object.values(patterns), account, clock.now()];
      return named(patterns, await sql.rows<Row>(statements.look, values), 0);
    },
    async failed(tried) {
      const { patterns, account } = digestsOf(tried);
      const end = secondsFromNow(clock, memorySeconds);
      const values = [Object.values(patterns), account, clock.now(), end];
      return named(patterns, await sql.rows<Row>(statements.note, values), 1);
    },
    async succeeded(tried) {
      const { patterns, account } = digestsOf(tried);
      await sql.run(statements.forget, [patterns.network, account]);
    },
  };
}
