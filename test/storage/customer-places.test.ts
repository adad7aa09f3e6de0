import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCustomerStore } from '../../src/customers/customer-store.ts';
import { createPlaceStore } from '../../src/customers/travel/place-store.ts';
import type { PlaceStore } from '../../src/customers/travel/place-store.ts';
import { distanceKm, memorySeconds } from '../../src/customers/travel/travel.ts';
import { createEncryption } from '../../src/security/encryption.ts';
import { cities } from '../support/cities.ts';
import { atOnce, storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

const start = new Date('2026-01-01T00:00:00Z');

let ground: StoreGround;
let now = start;
let one: PlaceStore;
let other: PlaceStore;
let customerId: string;

const clock = { now: () => now };

beforeAll(async () => {
  ground = await storeGround();
  one = createPlaceStore({ ...ground, clock });
  other = createPlaceStore({ ...ground, sql: ground.otherSql, clock });
});

afterAll(() => ground.close());

async function newCustomer(): Promise<string> {
  const id = randomUUID();
  await createCustomerStore(ground).insert({
    ...{ id, profile: { username: id }, passwordHash: '$argon2id$one' },
    ...{ passwordChangedAt: start, status: 'active' },
  });
  return id;
}

beforeEach(async () => {
  now = start;
  customerId = await newCustomer();
});

type City = keyof typeof cities;

const placeIn = (city: City) => ({ ...cities[city], radiusKm: 20 });
const arrive = (city: City, store = one, id = customerId) =>
  store.replace(id, { place: placeIn(city), at: now });

async function cityOf(store = one, id = customerId): Promise<string | undefined> {
  const place = (await store.find(id))?.place;
  const near = (city: City) => place && distanceKm(place, cities[city]) < place.radiusKm;
  return (['berlin', 'sydney', 'newYork'] as const).find(near);
}

describe('Where a customer last logged in', () => {
  it('is known to every process, with the time, and of nobody else', async () => {
    expect(await one.find(customerId)).toBeUndefined();
    await arrive('berlin');
    expect(await cityOf(other)).toBe('berlin');
    expect((await other.find(customerId))?.at).toEqual(start);
    expect(await one.find(await newCustomer())).toBeUndefined();
  });

  it('is the last place only, also when many come at once', async () => {
    await arrive('berlin');
    await arrive('sydney', other);
    expect(await cityOf()).toBe('sydney');
    const results = await atOnce(20, [one, other], (store) => arrive('newYork', store));
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(await cityOf()).toBe('newYork');
    const rows = await ground.prisma.customerPlace.count({ where: { customerId } });
    expect(rows).toBe(1);
  });

  it('is forgotten when anywhere can be reached since', async () => {
    await arrive('berlin');
    now = new Date(start.getTime() + memorySeconds * 1000 - 1);
    expect(await cityOf()).toBe('berlin');
    now = new Date(start.getTime() + memorySeconds * 1000);
    expect(await one.find(customerId)).toBeUndefined();
    await arrive('sydney');
    expect(await cityOf()).toBe('sydney');
  });

  it('is deleted with the customer', async () => {
    await arrive('berlin');
    await ground.prisma.customer.delete({ where: { id: customerId } });
    expect(await ground.prisma.customerPlace.count({ where: { customerId } })).toBe(0);
  });

  it('is sealed, for this customer and under our key', async () => {
    await arrive('berlin');
    const row = await ground.prisma.customerPlace.findUniqueOrThrow({ where: { customerId } });
    const text = Buffer.from(row.place).toString('latin1');
    expect(text).not.toMatch(/latitude|52|13/);
    const stranger = await newCustomer();
    await ground.prisma.customerPlace.create({ data: { ...row, customerId: stranger } });
    await expect(one.find(stranger)).rejects.toThrow();
    const encryption = createEncryption([randomBytes(32)]);
    const elsewhere = createPlaceStore({ ...ground, encryption, clock });
    await expect(elsewhere.find(customerId)).rejects.toThrow();
  });

  it('is no finer than a journey needs', async () => {
    await arrive('berlin');
    expect((await one.find(customerId))?.place).toEqual({
      ...{ latitude: 53, longitude: 13, radiusKm: 99 },
    });
  });
});
