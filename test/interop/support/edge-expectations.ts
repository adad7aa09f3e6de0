import { expect } from 'vitest';
import type { Asked, GatewayAnswer } from './edge-caller.ts';
import type { EdgeWorld } from './edge-world.ts';

/** In what gateways differ, each as it is meant. */
export interface Differences {
  /** HTTP/1.0 without a Host line, and with one. */
  http10: readonly [without: number, with_: number];
  http2: boolean;
  /** Paths that it passes on in another form, which is also the one that it asks about. */
  normalises: Readonly<Record<string, string>>;
  /** Header names that it takes away from callers, where others leave it to Countersign to refuse them. */
  takesAway: readonly string[];
  /** What it answers to names that some servers take for others, such as `X_User_ID`. */
  aliases: { underscores: number; others: number };
  /** Whether callers that pass are told the next nonce; others are told it with the next refusal. */
  nextNonce: boolean;
  /** Where Countersign does not answer. */
  undecided: { status: number; retryAfter: string | undefined };
  /** What it answers to requests for another protocol that Countersign would admit. */
  upgrades: Readonly<Record<'websocket' | 'h2c' | 'TLS/1.2', number>>;
  /** The path by which NGINX asks, when a caller asks for it. */
  ownPath: number;
  /** By which it refuses requests without asking. */
  refusals: readonly number[];
}

/** What the suites of a gateway share. */
export interface Suite {
  name: string;
  differences: Differences;
  /** Once it has been started. */
  world: () => EdgeWorld;
}

/** Asks, and expects this status and that nothing has reached the API. */
export async function expectNotPassed(
  { ask, api }: EdgeWorld,
  asked: Asked & { at?: number },
  status: number,
): Promise<GatewayAnswer> {
  const before = api.passed.length;
  const answer = await ask(asked);
  const told = [asked.method, asked.target, asked.headers];
  expect([told, answer.status]).toEqual([told, status]);
  expect(api.passed.slice(before)).toEqual([]);
  return answer;
}

/** Expects that Countersign was asked about everything that has reached the API, in the same form and as often. */
export function expectAskedAbout({ api, witness }: Pick<EdgeWorld, 'api' | 'witness'>): void {
  const asked = [...witness.asked];
  for (const { request } of api.passed) {
    const at = asked.indexOf(request);
    expect([request, at >= 0, asked]).toEqual([request, true, asked]);
    asked.splice(at, 1);
  }
}
