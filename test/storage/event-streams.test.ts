import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createConsentStore } from '../../src/consents/consent-store.ts';
import type { ConsentTerms } from '../../src/consents/consent.ts';
import { uk } from '../../src/consents/regimes/uk.ts';
import { later, start } from '../support/consent-ground.ts';
import { eventGround, streamDraft } from '../support/events.ts';
import type { EventGround } from '../support/events.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

const terms: ConsentTerms = {
  ...{ type: 'accounts', permissions: ['ReadAccountsBasic'], expiresAt: later(3600) },
};
const clock = { now: () => start };

let ground: StoreGround;
let world: EventGround;

beforeAll(async () => {
  ground = await storeGround();
  world = eventGround(ground, clock);
  await world.addClient('tpp');
  await world.addClient('other');
  const { streams } = world;
  await streams.insert(streamDraft({ id: 'of-tpp', clientId: 'tpp' }));
  await streams.insert(streamDraft({ id: 'of-other', clientId: 'other' }));
});

afterAll(() => ground.close());

describe('A stream', () => {
  it('is refused for a receiver that is none, and under an id that is taken', async () => {
    const { streams } = world;
    for (const draft of [{ clientId: 'nobody' }, { resourceServer: 'https://nobody.test' }]) {
      await expect(streams.insert(streamDraft({ id: 'new', ...draft }))).rejects.toMatchObject({
        code: 'event_stream_invalid',
      });
    }
    const taken = streamDraft({ id: 'of-tpp', clientId: 'tpp' });
    await expect(streams.insert(taken)).rejects.toMatchObject({ code: 'event_stream_exists' });
    await expect(streams.save({ ...taken, source: 'file' })).rejects.toMatchObject({
      code: 'event_stream_exists',
    });
  });

  it('that the static file changes is tried at once, and what is as it was is left alone', async () => {
    const { streams } = world;
    const authorization = 'Bearer declared-0123456789';
    const declared = streamDraft({
      ...{ id: 'declared', clientId: 'other', authorization, source: 'file' },
    });
    await streams.save(declared);
    const stateOf = async () => {
      const [row] = await ground.prisma.$queryRaw<{ failures: number; isWaiting: boolean }[]>`
        SELECT failures, retry_at IS NOT NULL AS "isWaiting" FROM event_streams WHERE id = 'declared'`;
      return row;
    };
    const endpoint = 'https://other.example.com/events';
    for (const change of [{ endpoint }, { endpoint, authorization: 'Bearer new-0123456789' }]) {
      await ground.prisma.$executeRaw`
        UPDATE event_streams SET failures = 3, retry_at = now() + interval '1 hour' WHERE id = 'declared'`;
      await streams.save({ ...declared, ...(change.authorization ? { endpoint } : {}) });
      expect(await stateOf()).toEqual({ failures: 3, isWaiting: true });
      await streams.save({ ...declared, ...change });
      expect(await stateOf()).toEqual({ failures: 0, isWaiting: false });
    }
    expect(await streams.delete('declared')).toBe(true);
  });

  it('keeps its secret sealed', async () => {
    const consents = createConsentStore({ ...ground, clock });
    const authorization = 'Bearer a-secret-of-the-receiver-0123456789';
    await world.streams.insert(
      streamDraft({ id: 'with-secret', clientId: 'other', authorization }),
    );
    await consents.insert({ clientId: 'other', regime: uk, terms });
    const [row] = await ground.prisma.$queryRaw<{ text: string }[]>`
      SELECT encode("authorization", 'escape') || event_streams::text AS text FROM event_streams
      WHERE id = 'with-secret'`;
    expect(row?.text).not.toContain('a-secret');
    const claimed = (await world.claim()).find(({ streamId }) => streamId === 'with-secret');
    if (claimed === undefined) throw new Error('nothing was claimed');
    expect(world.outbox.authorizationOf(claimed)).toBe(authorization);
    // Moved to another stream it is worth nothing.
    const moved = { ...claimed, streamId: 'of-other' };
    expect(() => world.outbox.authorizationOf(moved)).toThrow();
    expect(await world.streams.delete('with-secret')).toBe(true);
  });
});
