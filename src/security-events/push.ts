import type { SendOut, SignToken } from './event-ports.ts';
import type { ClaimedEvent, Outbox } from './outbox-store.ts';
import { claimsOf, errorCodeIn, verdictOf } from './security-event.ts';
import type { Verdict } from './security-event.ts';

interface Dependencies {
  issuer: string;
  sign: SignToken;
  /** With the time limit for receivers. */
  fetch: SendOut;
  outbox: Pick<Outbox, 'authorizationOf'>;
}

/**
 * One attempt to push an event (RFC 8935 §2.1), of which nothing goes on after `endsAt` by `performance.now()`; never rejects.
 * `problem` is for the log.
 */
export type Push = (
  event: ClaimedEvent,
  endsAt: number,
) => Promise<Verdict & { problem?: unknown }>;

/** Pushes events to where their streams say. */
export function createPush({ issuer, sign, fetch, outbox }: Dependencies): Push {
  async function send(event: ClaimedEvent, endsAt: number): Promise<Verdict> {
    const authorization = outbox.authorizationOf(event);
    const claims = claimsOf(event, issuer);
    const body = await sign({ type: 'secevent+jwt', algorithm: event.algorithm, claims });
    const leftMs = Math.floor(endsAt - performance.now());
    // A signer may be slow; by then another process may have sent it, and what follows.
    if (leftMs <= 0) throw new Error('the signature came too late to send it');
    const response = await fetch(event.endpoint, {
      ...{ method: 'POST', signal: AbortSignal.timeout(leftMs) },
      headers: {
        'content-type': 'application/secevent+jwt',
        accept: 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body,
    });
    const error = response.status === 400 ? await errorIn(response) : undefined;
    return verdictOf(response.status, error);
  }

  return (event, endsAt) =>
    send(event, endsAt).catch((problem: unknown) => ({
      ...({ outcome: 'failed', concerns: 'receiver' } as const),
      reason: reasonOf(problem),
      problem,
    }));
}

/** RFC 8935 §2.3: a JSON object with `err`. */
async function errorIn(response: Response): Promise<string | undefined> {
  try {
    const body = (await response.json()) as { err?: unknown } | null;
    return errorCodeIn(body?.err);
  } catch {
    return undefined;
  }
}

/** Whether it was the way there that failed, or we that could not sign. */
function reasonOf(problem: unknown): string {
  const isOutside =
    problem instanceof Error && 'code' in problem && problem.code === 'outbound_refused';
  return isOutside ? 'unreachable' : 'unsigned';
}
