import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal } from './refusal.ts';

/** Nonces of proofs (RFC 9449 §9). */
export interface Nonces {
  /** What the next proof should carry. */
  current(): string;
  /** Throws a {@link Refusal} for a nonce that is missing, or was not given out within the last two minutes. */
  check(nonce: unknown): void;
}

const stepMs = 60_000;

/** Derives nonces from a secret and the time: nothing is kept, and all processes with the secret agree. */
export function createNonces(secret: Uint8Array, now: () => Date): Nonces {
  const step = () => Math.floor(now().getTime() / stepMs);
  const at = (one: number) =>
    createHmac('sha256', secret)
      .update(`dpop-nonce ${String(one)}`)
      .digest('base64url');

  function isOurs(nonce: string): boolean {
    const given = Buffer.from(nonce);
    return [step(), step() - 1]
      .map((one) => Buffer.from(at(one)))
      .some((ours) => ours.length === given.length && timingSafeEqual(ours, given));
  }

  return {
    current: () => at(step()),
    check(nonce) {
      if (typeof nonce === 'string' && isOurs(nonce)) return;
      throw new Refusal('use_dpop_nonce', 'the nonce is missing or not of the moment');
    },
  };
}
