import type { AdapterPayload } from 'oidc-provider';
import type { Encryption } from '../../security/encryption.ts';
import { sha256 } from '../../security/secrets.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

/** What a stored artifact consists of. */
export interface ArtifactRow {
  idDigest: Bytes;
  payload: Bytes;
  consumedAt: Date | null;
}

/** What a stored artifact says, decrypted. */
export interface OpenedArtifact {
  kind: string;
  /** JSON without the id. */
  text: string;
  consumedAt: Date | null;
}

/** Under what an id is stored: SHA-256, as ids are random and long. */
export function digestOfId(id: string): Bytes {
  return new Uint8Array(sha256(id));
}

/** Turns the payloads of one kind into columns and back; the id itself is left out and restored. */
export function createArtifactCodec(kind: string, encryption: Encryption) {
  const context = (idDigest: Bytes) => `artifact:${kind}:${Buffer.from(idDigest).toString('hex')}`;

  return {
    columns(id: string, payload: AdapterPayload) {
      const { jti: _id, ...rest } = payload;
      const grantId = kind === 'Grant' ? id : payload.grantId;
      return {
        payload: encryption.seal(JSON.stringify(rest), context(digestOfId(id))),
        grantDigest: grantId === undefined ? null : digestOfId(grantId),
        uidDigest: payload.uid === undefined ? null : digestOfId(payload.uid),
        clientId: payload.clientId ?? null,
        customerId: customerOf(payload) ?? null,
      };
    },

    open: ({ payload, idDigest, consumedAt }: ArtifactRow): OpenedArtifact => ({
      kind,
      text: encryption.open(payload, context(idDigest)),
      consumedAt,
    }),

    /** A payload of the caller's own; `id` is undefined where a row was found by another column. */
    parse(id: string | undefined, { text, consumedAt }: OpenedArtifact): AdapterPayload {
      const payload = JSON.parse(text) as AdapterPayload;
      if (id !== undefined) payload.jti = id;
      if (consumedAt !== null) payload.consumed = Math.floor(consumedAt.getTime() / 1000);
      return payload;
    },
  };
}

/** Also of an interaction whose login is not resumed yet: ending a customer's sessions must end that as well. */
function customerOf({ accountId, result, session }: AdapterPayload): string | undefined {
  return accountId ?? result?.login?.accountId ?? session?.accountId;
}

export type ArtifactCodec = ReturnType<typeof createArtifactCodec>;
