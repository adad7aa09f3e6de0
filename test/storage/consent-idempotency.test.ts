import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { consentGround, later, lodged } from '../support/consent-ground.ts';
import { atOnce, values } from '../support/store.ts';

const world = consentGround();

describe('An idempotency key', () => {
  const key = (request = '{}') => ({ endpoint: '/consents', key: randomUUID(), request });

  it('gives the same consent again', async () => {
    const held = key();
    const first = await world.consents().insert(lodged, held);
    const again = await world.elsewhere().insert(lodged, held);
    expect(again).toEqual({ consent: first.consent, isNew: false });
  });

  it('makes one consent of many requests at once', async () => {
    const held = key();
    const made = values(
      await atOnce(20, [world.consents(), world.elsewhere()], (store) =>
        store.insert(lodged, held),
      ),
    );
    expect(made).toHaveLength(20);
    expect(new Set(made.map(({ consent }) => consent.id)).size).toBe(1);
    expect(made.filter(({ isNew }) => isNew)).toHaveLength(1);
  });

  it('is refused for another request', async () => {
    const held = key();
    await world.consents().insert(lodged, held);
    await expect(
      world.consents().insert(lodged, { ...held, request: '{ }' }),
    ).rejects.toMatchObject({
      code: 'idempotency_mismatch',
    });
  });

  it('belongs to one client and one endpoint', async () => {
    const held = key();
    const { consent } = await world.consents().insert(lodged, held);
    const foreign = await world.consents().insert({ ...lodged, clientId: 'other' }, held);
    const beside = await world.consents().insert(lodged, { ...held, endpoint: '/payments' });
    expect(new Set([consent.id, foreign.consent.id, beside.consent.id]).size).toBe(3);
  });

  it('is free again after 24 hours', async () => {
    const held = key();
    const { consent } = await world.consents().insert(lodged, held);
    world.setTime(later(86_399));
    expect((await world.consents().insert(lodged, held)).consent.id).toBe(consent.id);
    world.setTime(later(86_400));
    const fresh = await world.consents().insert(lodged, { ...held, request: '{ }' });
    expect(fresh.isNew).toBe(true);
    expect(fresh.consent.id).not.toBe(consent.id);
  });
});
