import Provider from 'oidc-provider';
import type { AdapterPayload } from 'oidc-provider';

/** What the present request knows to be stored of its browser's session. */
export interface KnownSessions {
  /** To be called with what was read or written. */
  note(id: string, payload: AdapterPayload): void;
  /** Whether there is something to write: oidc-provider saves a session with every authorization. */
  isNews(id: string, payload: AdapterPayload): boolean;
  /** To be called when it is deleted. */
  forget(): void;
}

interface Stored {
  id: string;
  /** Unix time in seconds. */
  end: number;
  content: string;
}

/** Seconds by which rounding moves an end that is counted from the login. */
const roundingSeconds = 1;

/** An authorization that changes nothing of its session writes nothing of it, also not over what another request wrote. */
export function createKnownSessions(): KnownSessions {
  const known = new WeakMap<object, Stored>();

  return {
    note(id, payload) {
      const { ctx } = Provider;
      if (ctx !== undefined) known.set(ctx, storedAs(id, payload));
    },

    isNews(id, payload) {
      const { ctx } = Provider;
      const stored = ctx && known.get(ctx);
      if (stored?.id !== id) return true;
      const present = storedAs(id, payload);
      const moved = Math.abs(stored.end - present.end);
      return moved > roundingSeconds || stored.content !== present.content;
    },

    forget() {
      const { ctx } = Provider;
      if (ctx !== undefined) known.delete(ctx);
    },
  };
}

function storedAs(id: string, { jti: _id, exp: end = 0, ...content }: AdapterPayload): Stored {
  return { id, end, content: JSON.stringify(content) };
}
