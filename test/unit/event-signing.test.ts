import type * as timers from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ConsentEvent } from '../../src/security-events/security-event.ts';
import { createEventTokens } from '../../src/security-events/event-tokens.ts';
import type { ClaimedEvent } from '../../src/security-events/outbox-store.ts';
import { createPolls } from '../../src/security-events/poll.ts';
import { createPush } from '../../src/security-events/push.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { streamDraft } from '../support/events.ts';

/** While it is frozen, nothing looks by itself. */
const looking = vi.hoisted(() => ({ isFrozen: false }));

vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof timers>();
  const setTimeout: typeof real.setTimeout = (delay, value, options) =>
    real.setTimeout(looking.isFrozen ? 2 ** 31 - 1 : delay, value, options);
  return { ...real, setTimeout };
});

afterEach(() => {
  looking.isFrozen = false;
});

const issuer = 'https://issuer.test';

function event(jti: string): ConsentEvent {
  return {
    ...{ jti, createdAt: new Date(0), audience: 'tpp', algorithm: 'RS256', consentId: 'c' },
    ...{ version: 1, move: 'create', state: 'x', at: new Date(0), by: 'client', reason: null },
    ...{ requestId: null, clientId: 'tpp', consentType: 'accounts' },
  };
}

const events = (count: number) => Array.from({ length: count }, (_, i) => event(`e${String(i)}`));

/** A signer that answers when the test says so. */
function slowSigner() {
  const waiting: { resolve: (token: string) => void; reject: (error: Error) => void }[] = [];
  let asked = 0;
  const sign = () => {
    asked += 1;
    return new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }));
  };
  return { sign, waiting, asked: () => asked };
}

describe('The tokens of polls', () => {
  it('are signed a few at a time, however many poll', async () => {
    const { sign, waiting, asked } = slowSigner();
    const tokensOf = createEventTokens({ issuer, sign });
    const polls = Promise.all([tokensOf(events(6)), tokensOf(events(10).slice(6))]);
    for (let signed = 0; signed < 10; signed += 1) {
      await vi.waitFor(
        () => {
          expect(waiting.length).toBe(Math.min(4, 10 - signed));
        },
        { timeout: 10_000 },
      );
      waiting.shift()?.resolve(`token ${String(signed)}`);
    }
    const [first, second] = await polls;
    expect([Object.keys(first).length, Object.keys(second).length]).toEqual([6, 4]);
    expect(asked()).toBe(10);
  });

  it('are signed once for those who ask again at once', async () => {
    let signed = 0;
    const sign = () => Promise.resolve(`token ${String((signed += 1))}`);
    const tokensOf = createEventTokens({ issuer, sign });
    const first = await tokensOf(events(3));
    expect(await tokensOf(events(3))).toEqual(first);
    expect(signed).toBe(3);
    const other = events(1).map((one) => ({ ...one, algorithm: 'ES256' as const }));
    expect((await tokensOf(other))['e0']).not.toBe(first['e0']);
  });

  it('that can not be made hold up nobody', async () => {
    const { sign, waiting, asked } = slowSigner();
    const tokensOf = createEventTokens({ issuer, sign });
    const failing = tokensOf(events(100));
    await vi.waitFor(
      () => {
        expect(waiting.length).toBe(4);
      },
      { timeout: 10_000 },
    );
    for (const { reject } of waiting.splice(0)) reject(new Error('the signer is away'));
    await expect(failing).rejects.toThrow('the signer is away');
    const next = tokensOf([event('next')]);
    await vi.waitFor(
      () => {
        expect(waiting.length).toBe(1);
      },
      { timeout: 10_000 },
    );
    waiting[0]?.resolve('made');
    expect(await next).toEqual({ next: 'made' });
    expect(asked()).toBe(5);
  });
});

describe('A poll', () => {
  it('hears of what comes while it looks', async () => {
    looking.isFrozen = true;
    let hear = (): void => undefined;
    let looks = 0;
    const polls = createPolls({
      issuer,
      sign: () => Promise.resolve('token'),
      streams: {
        listOf: () =>
          Promise.resolve([
            { ...streamDraft({ id: 'one', clientId: 'tpp', delivery: 'poll' }), status: 'enabled' },
          ]),
      },
      outbox: {
        // Comes right after the statement has looked.
        heads() {
          looks += 1;
          if (looks > 1) return Promise.resolve({ events: [event('new')], more: false });
          hear();
          return Promise.resolve({ events: [], more: false });
        },
        acknowledge: () => Promise.resolve(0),
        refuse: () => Promise.resolve([]),
      },
      changes: {
        subscribe(_topic, onChange) {
          hear = onChange;
        },
        isLive: () => true,
      },
      waitMs: 3000,
      metrics: createMetrics(),
      audit: { record: () => undefined },
    });
    const request = { maxEvents: 10, returnImmediately: false, acknowledged: [], refused: {} };
    const stream = { receiver: { clientId: 'tpp', resourceServer: undefined }, id: undefined };
    const { sets } = await polls.poll(stream, request, new AbortController().signal);
    expect(sets).toEqual({ new: 'token' });
  });
});

describe('A push', () => {
  const claimed: ClaimedEvent = {
    ...event('pushed'),
    ...{ streamId: 'one', endpoint: 'https://receiver.test', authorization: null },
    ...{ attempts: 1, failures: 0 },
  };
  const outbox = { authorizationOf: () => undefined };
  const sign = () => Promise.resolve('token');

  it('that was signed too late is not sent', async () => {
    const fetch = vi.fn(() => Promise.resolve(new Response(null, { status: 202 })));
    const push = createPush({ issuer, outbox, sign, fetch });
    const late = await push(claimed, performance.now() - 1);
    expect(late).toMatchObject({ outcome: 'failed', concerns: 'receiver', reason: 'unsigned' });
    expect(fetch).not.toHaveBeenCalled();
    expect(await push(claimed, performance.now() + 1000)).toEqual({ outcome: 'delivered' });
  });

  it('ends when its time is over', async () => {
    const fetch = (_url: string, { signal }: RequestInit) =>
      new Promise<Response>((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reject(new Error('over'));
        });
      });
    const push = createPush({ issuer, outbox, sign, fetch });
    expect(await push(claimed, performance.now() + 20)).toMatchObject({ outcome: 'failed' });
  });
});
