import type { Clock } from '../clock.ts';
import type { Sql, Statement } from '../database/sql.ts';
import type { Encryption } from '../security/encryption.ts';
import { createConsentCodec } from './consent-codec.ts';
import type { Consent } from './consent-codec.ts';
import { consentColumns } from './consent-row-store.ts';
import type { ConsentRow } from './consent-row-store.ts';

/** A part of a customer's consents. */
export interface ConsentPage {
  consents: Consent[];
  /** Whether there are more behind. */
  hasMore: boolean;
}

/** What a customer decided about. */
export interface ConsentsOfCustomer {
  /** Those that give access first, then the last changed ones first; pages count from 1. */
  pageOf(customerId: string, page: number): Promise<ConsentPage>;
}

const pageSize = 20;

const find: Statement = {
  name: 'consents_of_customer',
  text: `SELECT ${consentColumns} FROM consents WHERE customer_id = $1
    ORDER BY (state = 'authorised' AND COALESCE(expires_at, 'infinity') > $2::timestamptz) DESC, changed_at DESC, id
    LIMIT $3 OFFSET $4`,
};

/** Consents as their customers see them. */
export function createConsentsOfCustomer(deps: {
  sql: Sql;
  encryption: Encryption;
  clock: Clock;
}): ConsentsOfCustomer {
  const { sql, encryption, clock } = deps;
  const codec = createConsentCodec(encryption);
  return {
    async pageOf(customerId, page) {
      const now = clock.now();
      const values = [customerId, now, pageSize + 1, (page - 1) * pageSize];
      const rows = await sql.rows<ConsentRow>(find, values);
      const consents = rows.slice(0, pageSize).map((row) => codec.open(row, now));
      return { consents, hasMore: rows.length > pageSize };
    },
  };
}
