import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { createClientStore } from '../../src/clients/client-store.ts';
import { createConsentStore } from '../../src/consents/consent-store.ts';
import { createEndOfConsents } from '../../src/consents/consents-of-client-store.ts';
import { uk } from '../../src/consents/regimes/uk.ts';
import { noChanges } from '../../src/database/changes.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
const start = new Date('2026-11-22T08:00:00Z');
const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);

beforeAll(async () => {
  ground = await storeGround();
});

afterAll(() => ground.close());

it('The consents of a client that is deleted end with it, with their history; others stay', async () => {
  let now = start;
  const clock = { now: () => now };
  const consents = createConsentStore({ ...ground, clock });
  const clients = createClientStore({
    ...{ ...ground, changes: noChanges, endConsents: createEndOfConsents(clock) },
  });
  const [id, other] = ['deleted', 'other'];
  for (const one of [id, other]) {
    const metadata = parseClientMetadata({ client_id: one, redirect_uris: ['https://a.test/cb'] });
    await clients.insert({ source: 'operator', permissions: {}, metadata });
  }
  const terms = { type: 'accounts', permissions: ['ReadBalances'] } as const;
  async function lodge(clientId: string, expiresAt?: Date): Promise<string> {
    const asked = { ...terms, ...(expiresAt && { expiresAt }) };
    return (await consents.insert({ clientId, regime: uk, terms: asked })).consent.id;
  }
  async function authorised(clientId: string, expiresAt?: Date): Promise<string> {
    const consent = await lodge(clientId, expiresAt);
    const by = { type: 'customer', id: 'casey' } as const;
    await consents.move(consent, 'authorise', { by, customerId: 'casey' });
    return consent;
  }
  const mine = await authorised(id);
  const expired = await authorised(id, later(60));
  const theirs = await authorised(other);
  now = later(61);
  const undecided = await lodge(id);

  await clients.delete(id);

  const stateOf = async (consent: string) => (await consents.find(consent))?.state;
  expect(await stateOf(mine)).toBe('revoked');
  expect(await stateOf(undecided)).toBe('rejected');
  expect(await stateOf(theirs)).toBe('authorised');
  const by = { type: 'system', id: undefined };
  const told = { at: now, by, reason: 'client deleted' };
  expect(await consents.history(mine)).toMatchObject([
    { version: 1, move: 'create' },
    { version: 2, move: 'authorise' },
    { version: 3, move: 'revoke', state: 'revoked', ...told },
  ]);
  expect((await consents.history(undecided)).at(-1)).toMatchObject({
    ...{ version: 2, move: 'withdraw', state: 'rejected', ...told },
  });
  // Time ended it before: that is what its history will say.
  await consents.moveDue(100);
  expect((await consents.history(expired)).at(-1)).toMatchObject({ move: 'expire' });
});
