import type { Clock } from '../clock.ts';
import { sha256Text } from '../security/secrets.ts';
import type { EdgeToken, FindToken } from './edge-ports.ts';
import { createShortMemory } from './resource-server/short-memory.ts';

/** Longer than that nobody may pass with a token that was revoked. */
const rememberedMs = 1000;
const maxRemembered = 10_000;

/** Tokens that were asked about within the last second, by digest. */
export interface TokenMemory {
  find: FindToken;
  /** Something ended: everything is asked for anew. */
  forget(): void;
}

/** Remembers what `find` says of a token for a second at most. */
export function createTokenMemory(find: FindToken, clock: Clock): TokenMemory {
  const memory = createShortMemory<EdgeToken | undefined>({
    ...{ ms: rememberedMs, max: maxRemembered, now: () => clock.now() },
  });
  return {
    find(token) {
      const digest = sha256Text(token);
      return memory.recall(digest, () => find(token));
    },
    forget() {
      memory.clear();
    },
  };
}
