import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createConsentStore } from '../../src/consents/consent-store.ts';
import type { ConsentStore } from '../../src/consents/consent-store.ts';
import type { ConsentTerms } from '../../src/consents/consent.ts';
import { regimes } from '../../src/consents/regimes/regimes.ts';
import { uk } from '../../src/consents/regimes/uk.ts';
import { decided, later, payment, start } from '../support/consent-ground.ts';
import { eventGround, streamDraft } from '../support/events.ts';
import type { EventGround } from '../support/events.ts';
import { atOnce, storeGround, values } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

const accountsApi = 'https://accounts.example.com';
const paymentsApi = 'https://payments.example.com';
const terms: ConsentTerms = {
  ...{ type: 'accounts', permissions: ['ReadAccountsBasic'], expiresAt: later(3600) },
};

let ground: StoreGround;
let world: EventGround;
let consents: ConsentStore;
let now = start;
const clock = { now: () => now };

beforeAll(async () => {
  ground = await storeGround();
  world = eventGround(ground, clock);
  consents = createConsentStore({ ...ground, clock });
  await world.addClient('tpp');
  await world.addClient('other');
  await world.addResourceServer(accountsApi, ['accounts', 'something']);
  await world.addResourceServer(paymentsApi, ['payments', 'fundsconfirmations']);
  const { streams } = world;
  await streams.insert(streamDraft({ id: 'of-tpp', clientId: 'tpp' }));
  await streams.insert(streamDraft({ id: 'of-other', clientId: 'other' }));
  await streams.insert(streamDraft({ id: 'of-accounts', resourceServer: accountsApi }));
  await streams.insert(
    streamDraft({ id: 'of-payments', resourceServer: paymentsApi, delivery: 'poll' }),
  );
});

afterAll(() => ground.close());

beforeEach(async () => {
  now = start;
  await ground.prisma.$executeRaw`DELETE FROM event_deliveries`;
});

async function lodge(what = terms, clientId = 'tpp'): Promise<string> {
  return (await consents.insert({ clientId, regime: uk, terms: what })).consent.id;
}

/** `stream move` of everything in the outbox of a consent, by version. */
async function outboxOf(consentId: string): Promise<string[]> {
  const found = await ground.prisma.$queryRaw<{ line: string }[]>`
    SELECT stream_id || ' ' || move AS line FROM event_deliveries
    JOIN consent_history USING (consent_id, version)
    WHERE consent_id = ${consentId} ORDER BY version, stream_id`;
  return found.map(({ line }) => line);
}

const told = (...moves: string[]) =>
  moves.flatMap((move) => [`of-accounts ${move}`, `of-tpp ${move}`]);

describe('The outbox', () => {
  it('knows the scope of every regime', async () => {
    const rows = await ground.prisma.consentScope.findMany();
    const known = rows.map(({ regime, type, scope }) => `${regime} ${type} ${scope}`);
    const said = Object.values(regimes).flatMap(({ name, scopes }) =>
      Object.entries(scopes).map(([type, scope]) => `${name} ${type} ${scope}`),
    );
    expect(known.toSorted()).toEqual(said.toSorted());
  });

  it('has one row for each receiver of each step, whoever takes it', async () => {
    const id = await lodge();
    await consents.move(id, 'authorise', decided);
    await consents.move(id, 'change', decided);
    await consents.move(id, 'reauthenticate', decided);
    await consents.move(id, 'revoke', { by: { type: 'operator' } });
    expect(await outboxOf(id)).toEqual(
      told('create', 'authorise', 'change', 'reauthenticate', 'revoke'),
    );
    const rejected = await lodge();
    await consents.move(rejected, 'reject', decided);
    expect(await outboxOf(rejected)).toEqual(told('create', 'reject'));
    const withdrawn = await lodge();
    await consents.move(withdrawn, 'withdraw', { by: { type: 'client' }, clientId: 'tpp' });
    expect(await outboxOf(withdrawn)).toEqual(told('create', 'withdraw'));
  });

  it('tells of time, and of one step once whatever process takes it', async () => {
    const authorised = await lodge();
    await consents.move(authorised, 'authorise', decided);
    const undecided = await lodge();
    now = later(3600);
    const elsewhere = createConsentStore({ ...ground, sql: ground.otherSql, clock });
    await Promise.all([consents.moveDue(1000), elsewhere.moveDue(1000)]);
    expect(await outboxOf(authorised)).toEqual(told('create', 'authorise', 'expire'));
    expect(await outboxOf(undecided)).toEqual(told('create', 'lapse'));
  });

  it('tells of a consent that an idempotency key stands for once', async () => {
    const key = { endpoint: 'test', key: 'k', request: '{}' };
    const draft = { clientId: 'tpp', regime: uk, terms };
    const made = await Promise.all([consents.insert(draft, key), consents.insert(draft, key)]);
    expect(new Set(made.map(({ consent }) => consent.id)).size).toBe(1);
    expect(await outboxOf(made[0].consent.id)).toEqual(told('create'));
  });

  it('tells resource servers by their scopes, and a client of its own', async () => {
    const id = await lodge(payment, 'other');
    expect(await outboxOf(id)).toEqual(['of-other create', 'of-payments create']);
  });

  it('tells resource servers of the consents of a client that is deleted', async () => {
    await world.addClient('gone');
    await world.streams.insert(streamDraft({ id: 'of-gone', clientId: 'gone' }));
    const id = await lodge(terms, 'gone');
    expect(await outboxOf(id)).toEqual(['of-accounts create', 'of-gone create']);
    await world.clients.delete('gone');
    expect(await outboxOf(id)).toEqual(['of-accounts create', 'of-accounts withdraw']);
    expect(await world.streams.find('of-gone')).toBeUndefined();
  });

  it('has nothing of a step that is taken back', async () => {
    const id = await lodge();
    const broken = ground.prisma.$transaction([
      ground.prisma
        .$executeRaw`UPDATE consents SET version = 2, state = 'rejected' WHERE id = ${id}`,
      ground.prisma
        .$executeRaw`INSERT INTO consent_history (consent_id, version, at, move, state, actor_type)
        VALUES (${id}, 2, now(), 'reject', 'rejected', 'customer')`,
      ground.prisma.$executeRaw`SELECT 1 / 0`,
    ]);
    await expect(broken).rejects.toThrow();
    expect(await outboxOf(id)).toEqual(told('create'));
  });

  it('lets a consent change while a receiver of it is being removed', async () => {
    const { streams } = world;
    for (let round = 0; round < 20; round += 1) {
      await streams.insert(streamDraft({ id: 'brief', clientId: 'tpp' }));
      const [id] = await Promise.all([lodge(), streams.delete('brief'), lodge()]);
      expect(await outboxOf(id)).toContain('of-tpp create');
    }
  });
});

describe('Claiming', () => {
  it('gives each consent’s events in their order, one at a time', async () => {
    const [first, second] = [await lodge(), await lodge()];
    await consents.move(first, 'authorise', decided);
    const { outbox } = world;
    const seen: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (const event of await world.claim()) {
        if (event.streamId !== 'of-tpp') continue;
        seen.push(`${event.consentId === first ? 'first' : 'second'} ${event.move}`);
        await outbox.delivered(event);
      }
    }
    expect(seen.toSorted()).toEqual(['first authorise', 'first create', 'second create']);
    expect(seen.indexOf('first create')).toBeLessThan(seen.indexOf('first authorise'));
    expect(second).not.toBe(first);
  });

  it('gives an event to one process', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, () => lodge()));
    const claims = await atOnce(20, [world.outbox, world.elsewhere], (outbox) =>
      outbox.claim({ busy: [], perStream: 3, limit: 100, leaseMs: 60_000 }),
    );
    const taken = values(claims).flat();
    const keys = taken.map(({ streamId, consentId }) => `${streamId} ${consentId}`);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBe(ids.length * 2);
  });

  it('gives it again, with the same jti, when its process has not settled it in time', async () => {
    await lodge();
    const { outbox, elsewhere } = world;
    const brief = { busy: ['of-accounts'], perStream: 8, limit: 8, leaseMs: 0 };
    const [event] = await outbox.claim(brief);
    const [again] = await elsewhere.claim(brief);
    expect(again).toMatchObject({ jti: event?.jti, attempts: 2 });
    if (event === undefined || again === undefined) throw new Error('nothing was claimed');
    // The first process wakes up: it must not take the event out of the other's hands.
    await outbox.postpone(event, { reason: 'late', delayMs: 60_000 });
    await elsewhere.delivered(again);
    expect(await elsewhere.claim(brief)).toEqual([]);
  });

  it('holds back what follows an event that failed, and nothing else', async () => {
    const [bad, good] = [await lodge(), await lodge()];
    await consents.move(bad, 'authorise', decided);
    await consents.move(good, 'authorise', decided);
    const { outbox } = world;
    const all: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (const event of await world.claim()) {
        if (event.streamId !== 'of-tpp') continue;
        all.push(`${event.consentId === bad ? 'bad' : 'good'} ${event.move}`);
        if (event.consentId === good) await outbox.delivered(event);
        else await outbox.postpone(event, { reason: 'status 422', delayMs: 60_000 });
      }
    }
    expect(all.toSorted()).toEqual(['bad create', 'good authorise', 'good create']);
  });

  it('spares a receiver that failed, and begins with one event again', async () => {
    await lodge();
    await lodge();
    const { outbox, streams } = world;
    const mine = { busy: ['of-accounts'], perStream: 8, limit: 8, leaseMs: 60_000 };
    const [one, other] = await outbox.claim(mine);
    if (one === undefined || other === undefined) throw new Error('nothing was claimed');
    await outbox.release(one, { reason: 'unreachable', delayMs: 60_000 });
    await outbox.release(other, { reason: 'unreachable', delayMs: 60_000 });
    expect(await outbox.claim(mine)).toEqual([]);
    expect(await streams.health('of-tpp')).toMatchObject({
      ...{ pending: 2, failures: 1, reason: 'unreachable' },
    });
    await ground.prisma.$executeRaw`UPDATE event_streams SET retry_at = now() WHERE id = 'of-tpp'`;
    const [probe, ...more] = await outbox.claim(mine);
    expect([probe?.jti, more]).toEqual([one.jti, []]);
    if (probe !== undefined) await outbox.delivered(probe);
    expect(await outbox.claim(mine)).toMatchObject([{ jti: other.jti, failures: 0 }]);
  });

  it('lets events wait while a stream is paused', async () => {
    const { streams, outbox } = world;
    expect(await streams.setStatus('of-tpp', 'paused')).toBe(true);
    await lodge();
    const mine = { busy: ['of-accounts'], perStream: 8, limit: 8, leaseMs: 60_000 };
    expect(await outbox.claim(mine)).toEqual([]);
    expect(await streams.setStatus('of-tpp', 'enabled')).toBe(true);
    expect(await outbox.claim(mine)).toHaveLength(1);
    expect(await streams.setStatus('nobody', 'paused')).toBe(false);
  });
});

describe('A suspended client', () => {
  it('is told nothing until it is active again', async () => {
    const { clients, outbox } = world;
    const mine = { busy: ['of-accounts'], perStream: 8, limit: 8, leaseMs: 60_000 };
    await lodge();
    await clients.setStatus('tpp', 'suspended');
    expect(await outbox.claim(mine)).toEqual([]);
    await clients.setStatus('tpp', 'active');
    expect(await outbox.claim(mine)).toHaveLength(1);
  });
});

describe('What is too old', () => {
  it('is given up by one process, unless it is on its way', async () => {
    await lodge();
    await lodge();
    await ground.prisma
      .$executeRaw`UPDATE event_deliveries SET created_at = now() - interval '1 hour'`;
    const mine = { busy: ['of-accounts'], perStream: 1, limit: 1, leaseMs: 60_000 };
    const [underWay] = await world.outbox.claim(mine);
    const lost = values(
      await atOnce(6, [world.outbox, world.elsewhere], (outbox) => outbox.expire(1_800_000, 100)),
    ).flat();
    const jtis = lost.map(({ jti }) => jti);
    expect(jtis).toHaveLength(3);
    expect(jtis).not.toContain(underWay?.jti);
    expect(await world.outbox.expire(1_800_000, 100)).toEqual([]);
    expect(await world.streams.health('of-accounts')).toMatchObject({ pending: 0, expired: 2 });
  });
});

describe('What its receiver will never take', () => {
  it('is settled once, each with its reason', async () => {
    await lodge(payment);
    await lodge(payment);
    const { outbox, elsewhere } = world;
    const [one, two] = (await outbox.heads('of-payments', 10)).events;
    if (one === undefined || two === undefined) throw new Error('nothing waits');
    const reasons = { [one.jti]: 'invalid_request', [two.jti]: 'invalid_key' };
    expect(await outbox.refuse('of-tpp', reasons)).toEqual([]);
    const refused = values(
      await atOnce(6, [outbox, elsewhere], (of) => of.refuse('of-payments', reasons)),
    ).flat();
    const told = refused.map(({ jti, reason, consentId }) => [jti, reason, consentId]);
    expect(told.toSorted()).toEqual(
      [
        [one.jti, 'invalid_request', one.consentId],
        [two.jti, 'invalid_key', two.consentId],
      ].toSorted(),
    );
    expect((await outbox.heads('of-payments', 10)).events).toEqual([]);
  });

  it('is not rejected by a process that was too slow', async () => {
    await lodge();
    const { outbox, elsewhere } = world;
    const brief = { busy: ['of-accounts'], perStream: 8, limit: 8, leaseMs: 0 };
    const [late] = await outbox.claim(brief);
    const [next] = await elsewhere.claim(brief);
    if (late === undefined || next === undefined) throw new Error('nothing was claimed');
    await elsewhere.delivered(next);
    expect(await outbox.rejected(late, 'invalid_audience')).toBe(false);
    await lodge();
    const [other] = await outbox.claim(brief);
    if (other === undefined) throw new Error('nothing was claimed');
    expect(await outbox.rejected(other, 'invalid_audience')).toBe(true);
  });
});
