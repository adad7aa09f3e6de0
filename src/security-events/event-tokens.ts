import type { SignToken } from './event-ports.ts';
import { claimsOf } from './security-event.ts';
import type { ConsentEvent } from './security-event.ts';

/** The Security Event Tokens of events, by `jti`. Rejects where no key signs so. */
export type TokensOf = (events: readonly ConsentEvent[]) => Promise<Record<string, string>>;

/** Of all polls of this process: an HSM or a key service has to sign what is answered with tokens as well. */
const atOnce = 4;

/**
 * Who polls again without having acknowledged gets the same token, which costs no signature. Not for longer, because a key that
 * is taken back must not be seen in what we give out.
 */
const keptMs = 10_000;
const mostKept = 1000;

/** Signs the events of polls, a few at a time, and remembers for some seconds what it signed. */
export function createEventTokens({ issuer, sign }: { issuer: string; sign: SignToken }): TokensOf {
  const memory = createMemory();
  const inTurn = createTurns();

  return async function tokensOf(events) {
    let hasFailed = false;

    async function make(event: ConsentEvent): Promise<string> {
      // The rest of an answer that is none would hold up the others.
      if (hasFailed) throw new Error('another event of this answer could not be signed');
      const { algorithm } = event;
      const claims = claimsOf(event, issuer);
      try {
        return memory.keep(event, await sign({ type: 'secevent+jwt', algorithm, claims }));
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }

    const made = events.map(async (event) => {
      const token =
        memory.find(event) ??
        (await inTurn(() => {
          const found = memory.find(event);
          return found === undefined ? make(event) : Promise.resolve(found);
        }));
      return [event.jti, token] as const;
    });
    return Object.fromEntries(await Promise.all(made));
  };
}

function createMemory() {
  const kept = new Map<string, { token: string; until: number }>();
  const nameOf = ({ algorithm, jti, audience }: ConsentEvent) => `${algorithm} ${jti} ${audience}`;

  return {
    find(event: ConsentEvent): string | undefined {
      const found = kept.get(nameOf(event));
      return found !== undefined && found.until > performance.now() ? found.token : undefined;
    },
    keep(event: ConsentEvent, token: string): string {
      const name = nameOf(event);
      kept.delete(name);
      kept.set(name, { token, until: performance.now() + keptMs });
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
      return token;
    },
  };
}

/** Lets {@link atOnce} pieces of work run at the same time. */
function createTurns() {
  const lanes = Array.from({ length: atOnce }, () => Promise.resolve());
  let next = 0;

  return function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const lane = next;
    next = (next + 1) % atOnce;
    const done = (lanes[lane] ?? Promise.resolve()).then(work);
    lanes[lane] = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  };
}
