import type { Encryption } from '../security/encryption.ts';
import type { OfferedAccount } from './consent-codec.ts';
import type { Bytes } from './consent-row-store.ts';

/** What one move of a consent consisted of; times as ISO 8601 in UTC. */
export interface HistoryContent {
  /** The terms as they were lodged. */
  lodged?: Readonly<Record<string, unknown>> | undefined;
  /** The accounts that were chosen. */
  accounts?: readonly OfferedAccount[] | undefined;
  /** An end that was changed. */
  expiresAt?: string | undefined;
  /** How the customer had logged in. */
  authentication?:
    { acr?: string | undefined; amr: readonly string[]; authTime?: string | undefined } | undefined;
  /** The client's registration at that time. */
  client?: Readonly<Record<string, unknown>> | undefined;
  /** What the page said that was answered. */
  shown?: string | undefined;
}

/** The move that a content belongs to, and opens with alone. */
export interface ContentKey {
  consentId: string;
  move: string;
  at: Date;
}

/** Seals what moves consisted of: it names accounts, and says what people read. */
export function createHistoryContents(encryption: Encryption) {
  const context = ({ consentId, move, at }: ContentKey) =>
    `consent-history:${consentId}:${move}:${at.toISOString()}`;

  return {
    /** Null where the row of the history says all. */
    seal(key: ContentKey, content: HistoryContent): Bytes | null {
      const isEmpty = Object.values(content).every((value) => value === undefined);
      return isEmpty ? null : encryption.seal(JSON.stringify(content), context(key));
    },

    open: (key: ContentKey, sealed: Uint8Array): HistoryContent =>
      JSON.parse(encryption.open(sealed, context(key))) as HistoryContent,
  };
}

export type HistoryContents = ReturnType<typeof createHistoryContents>;
