import Provider from 'oidc-provider';
import { digestOfId } from '../storage/artifact-codec.ts';
import type { ArtifactKey, ArtifactRows, FoundArtifactRow } from '../storage/artifact-row-store.ts';

/** RFC 9126 §2.2 as oidc-provider writes it. */
const urn = 'urn:ietf:params:oauth:request_uri:';

/** Pushed requests that an authorization request names, read together with the session of its browser. */
export interface PushedRequests {
  /** The session, by one statement with what the present request names. */
  findSession(session: ArtifactKey): Promise<FoundArtifactRow | undefined>;
  /** What was read along for the present request, once: its use is decided by a statement all the same. */
  take(id: string): FoundArtifactRow | undefined;
}

export function createPushedRequests(
  rows: Pick<ArtifactRows, 'find' | 'findSessionAndRequest'>,
): PushedRequests {
  const read = new WeakMap<object, { id: string; row: FoundArtifactRow }>();

  return {
    async findSession(key) {
      const { ctx } = Provider;
      const id = namedRequest();
      if (ctx === undefined || id === undefined) return rows.find(key);
      const digests = { session: key.idDigest, request: digestOfId(id) };
      const { session, request } = await rows.findSessionAndRequest(digests);
      if (request !== undefined) read.set(ctx, { id, row: request });
      return session;
    },

    take(id) {
      const { ctx } = Provider;
      const found = ctx && read.get(ctx);
      if (ctx === undefined || found?.id !== id) return undefined;
      read.delete(ctx);
      return found.row;
    },
  };
}

/** The identifier in the query of an authorization request; others go the long way. */
function namedRequest(): string | undefined {
  const { ctx } = Provider;
  if (ctx?.oidc.route !== 'authorization') return undefined;
  const uri = ctx.query['request_uri'];
  return typeof uri === 'string' && uri.startsWith(urn) ? uri.slice(urn.length) : undefined;
}
