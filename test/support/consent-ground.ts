import { afterAll, beforeAll, beforeEach } from 'vitest';
import { createConsentStore } from '../../src/consents/consent-store.ts';
import type { ConsentStore, MoveFacts } from '../../src/consents/consent-store.ts';
import type { ConsentState, ConsentTerms } from '../../src/consents/consent.ts';
import { uk } from '../../src/consents/regimes/uk.ts';
import { storeGround } from './store.ts';
import type { StoreGround } from './store.ts';

export const start = new Date('2026-11-22T08:00:00Z');

/** Seconds after the start. */
export const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);

const terms: ConsentTerms = {
  type: 'accounts',
  permissions: ['ReadAccountsBasic', 'ReadBalances'],
  expiresAt: later(3600),
  transactionsFrom: later(-86_400),
};

export const payment: ConsentTerms = {
  type: 'payment',
  permissions: [],
  payment: {
    amount: '10.50',
    currency: 'GBP',
    payee: {
      scheme: 'UK.OBIE.SortCodeAccountNumber',
      identification: '08080021325698',
      name: 'ACME',
    },
  },
};

export const lodged = { clientId: 'tpp', regime: uk, terms };
export const casey = '5e0ee6f0-6a0c-4d5c-9d0d-5c3e7d1f3a10';
export const savings = { id: 'savings', name: 'Savings', number: '••• 1234' };

/** What a customer's decision says. */
export const decided: MoveFacts = {
  by: { type: 'customer', id: casey },
  customerId: casey,
  accounts: [savings],
  authentication: { acr: 'urn:example:acr', amr: ['pwd', 'otp'], at: start },
  shown: { locale: 'en', text: 'what was shown' },
};
export const byTime: MoveFacts = { by: { type: 'system' } };

/** Two processes' stores on a database of the test file's own, and a clock that stands still unless it is set. */
export function consentGround() {
  let time = start;
  let ground: StoreGround | undefined;
  let stores: [ConsentStore, ConsentStore] | undefined;
  const clock = { now: () => time };
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('only within a test');
    return value;
  };

  beforeAll(async () => {
    ground = await storeGround();
    stores = [
      createConsentStore({ ...ground, clock }),
      createConsentStore({ ...ground, sql: ground.otherSql, clock }),
    ];
  });
  beforeEach(() => {
    time = start;
  });
  afterAll(() => ground?.close());

  const world = {
    prisma: () => there(ground).prisma,
    consents: () => there(stores)[0],
    elsewhere: () => there(stores)[1],
    setTime(now: Date): void {
      time = now;
    },
    async lodge(what: ConsentTerms = terms): Promise<string> {
      return (await world.consents().insert({ ...lodged, terms: what })).consent.id;
    },
    /** A consent that was moved to `state`. */
    async consentIn(state: ConsentState): Promise<string> {
      const id = await world.lodge();
      if (state === 'rejected') await world.consents().move(id, 'reject', decided);
      if (['authorised', 'revoked', 'expired', 'consumed'].includes(state)) {
        await world.consents().move(id, 'authorise', decided);
      }
      if (state === 'revoked') await world.consents().move(id, 'revoke', decided);
      if (state === 'consumed') await world.consents().move(id, 'consume', decided);
      if (state === 'expired') {
        time = later(3600);
        await world.consents().move(id, 'expire', byTime);
      }
      time = start;
      return id;
    },
  };
  return world;
}
