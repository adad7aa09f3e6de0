import type { Sql, Statement } from '../../database/sql.ts';
import type { Encryption } from '../../security/encryption.ts';
import { createHistoryContents } from '../history-content.ts';
import type { HistoryContent } from '../history-content.ts';

/** One move of a consent with everything that it consisted of. */
export interface RecordedMove {
  version: number;
  at: Date;
  move: string;
  state: string;
  actorType: string;
  actorId: string | null;
  address: string | null;
  requestId: string | null;
  reason: string | null;
  textLocale: string | null;
  /** SHA-256 of the page's text. */
  textDigest: Uint8Array | null;
  /** Undefined for moves whose row says all, and for those that were made before contents were kept. */
  content: HistoryContent | undefined;
}

/** One access token that was issued under a consent, as the audit trail has it. */
export interface RecordedToken {
  at: Date;
  type: string;
  clientId: string | null;
  requestId: string | null;
  detail: Readonly<Record<string, unknown>>;
}

interface MoveRow extends Omit<RecordedMove, 'content'> {
  content: Uint8Array | null;
}

const findMoves: Statement = {
  name: 'evidence_moves',
  text: `SELECT version, at, move, state, actor_type AS "actorType", actor_id AS "actorId", address,
    request_id AS "requestId", reason, text_locale AS "textLocale", text_digest AS "textDigest", content
    FROM consent_history WHERE consent_id = $1 ORDER BY version`,
};

// By the index on the customer, who has few.
const findTokens: Statement = {
  name: 'evidence_tokens',
  text: `SELECT at, type, client_id AS "clientId", request_id AS "requestId", detail FROM audit_events
    WHERE customer_id = $1 AND type IN ('token.issued', 'token.refreshed') AND at >= $2 AND detail->>'consent' = $3
    ORDER BY at, id`,
};

/** What is kept of a consent besides its present state. */
export function createEvidenceStore({ sql, encryption }: { sql: Sql; encryption: Encryption }) {
  const contents = createHistoryContents(encryption);
  return {
    async movesOf(consentId: string): Promise<RecordedMove[]> {
      const rows = await sql.rows<MoveRow>(findMoves, [consentId]);
      return rows.map(({ content, ...row }) => ({
        ...row,
        content: content === null ? undefined : contents.open({ consentId, ...row }, content),
      }));
    },

    tokensOf: (consent: { id: string; customerId: string; createdAt: Date }) =>
      sql.rows<RecordedToken>(findTokens, [consent.customerId, consent.createdAt, consent.id]),
  };
}

export type EvidenceStore = ReturnType<typeof createEvidenceStore>;
