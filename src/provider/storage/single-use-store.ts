import type { Sql, Statement } from '../../database/sql.ts';
import { sha256 } from '../../security/secrets.ts';

/** Identifiers that must not come twice, and tokens that must not work any more. */
export interface SingleUseStore {
  /** Whether `jti` of `issuer` is seen for the first time; one insert decides, on every process. */
  firstUse(use: { issuer: string; jti: string; expiresAt: Date }): Promise<boolean>;
  /** Ends a JWT access token before its time. */
  revokeToken(jti: string, expiresAt: Date): Promise<void>;
  isRevoked(jti: string): Promise<boolean>;
}

const useFirst: Statement = {
  name: 'replay_use_first',
  text: `INSERT INTO replay_identifiers (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`,
};

const revoke: Statement = {
  name: 'revoked_add',
  text: `INSERT INTO revoked_tokens (jti_digest, expires_at) VALUES ($1, $2) ON CONFLICT (jti_digest) DO NOTHING`,
};

const findRevoked: Statement = {
  name: 'revoked_find',
  text: 'SELECT 1 FROM revoked_tokens WHERE jti_digest = $1',
};

/** Single use by INSERT … ON CONFLICT DO NOTHING. */
export function createSingleUseStore(sql: Sql): SingleUseStore {
  return {
    async firstUse({ issuer, jti, expiresAt }) {
      // The length keeps ("a", "bc") and ("ab", "c") apart.
      const digest = bytes(`${String(issuer.length)}:${issuer}${jti}`);
      return (await sql.run(useFirst, [digest, expiresAt])) === 1;
    },

    async revokeToken(jti, expiresAt) {
      await sql.run(revoke, [bytes(jti), expiresAt]);
    },

    async isRevoked(jti) {
      return (await sql.rows(findRevoked, [bytes(jti)])).length > 0;
    },
  };
}

function bytes(value: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sha256(value));
}
