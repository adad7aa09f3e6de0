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
/** Told of places that can't be opened. */
let unreadable: unknown[];

const onUnreadable = (error: unknown) => unreadable.push(error);
const clock = { now: () => now };

beforeAll(async () => {
  ground = await storeGround();
  one = createPlaceStore({ ...ground, clock, onUnreadable });
  other = createPlaceStore({ ...ground, sql: ground.otherSql, clock, onUnreadable });
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
  unreadable = [];
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
    expect(await one.find(stranger)).toBeUndefined();
    expect(unreadable).toHaveLength(1);
    const encryption = createEncryption([randomBytes(32)]);
    const elsewhere = createPlaceStore({ ...ground, encryption, clock, onUnreadable });
    expect(await elsewhere.find(customerId)).toBeUndefined();
    expect(unreadable).toHaveLength(2);
    expect(await cityOf()).toBe('berlin');
  });

  it('is none when it can’t be opened, is told of, and replaced by the next one', async () => {
    await arrive('berlin');
    const place = Buffer.from('00ff00ff', 'hex');
    await ground.prisma.customerPlace.update({ where: { customerId }, data: { place } });
    expect(await cityOf(other)).toBeUndefined();
    expect(unreadable).toHaveLength(1);
    await arrive('sydney');
    expect(await cityOf(other)).toBe('sydney');
    expect(unreadable).toHaveLength(1);
  });

  it('is not taken for none while the database does not tell', async () => {
    const sql = { ...ground.sql, rows: () => Promise.reject(new Error('away')) };
    const cutOff = createPlaceStore({ ...ground, sql, clock, onUnreadable });
    await expect(cutOff.find(customerId)).rejects.toThrow('away');
    expect(unreadable).toEqual([]);
  });

  it('is no finer than a journey needs', async () => {
    await arrive('berlin');
    expect((await one.find(customerId))?.place).toEqual({
      ...{ latitude: 53, longitude: 13, radiusKm: 99 },
    });
  });
});
