import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunningApi } from '../../examples/resource-server/server.ts';
import {
  journeysOf,
  lodgePayment,
  startConsentServer,
  ukPayments,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { rows } from '../support/protocol.ts';
import { accountsUnder, callBank, openAccounts, sampleBank } from '../support/sample-bank.ts';
import type { SampleBank } from '../support/sample-bank.ts';

let world: ConsentServer;
let journeys: ReturnType<typeof journeysOf>;
let sample: SampleBank;
let api: RunningApi;

beforeAll(async () => {
  world = await startConsentServer();
  journeys = journeysOf(world);
  sample = await sampleBank(world);
  api = await sample.start();
});

afterAll(async () => {
  await sample.close();
  await world.server.stop();
});

const urlOf = (input: string | URL | Request) =>
  input instanceof Request ? input.url : String(input);

/** What the books say of an account, whoever asks. */
async function books(account: string) {
  const owner = new pg.Client(sample.database.connection);
  await owner.connect();
  try {
    const { rows: found } = await owner.query<{ balance: string; debits: number }>(
      `SELECT balance, (SELECT count(*)::int FROM bank.transactions WHERE account_id = $1 AND amount < 0) AS debits
       FROM bank.accounts WHERE id = $1`,
      [account],
    );
    return { debits: found[0]?.debits ?? NaN, balance: Number(found[0]?.balance) };
  } finally {
    await owner.end();
  }
}

describe('A payment', () => {
  const ordered = { amount: '165.88', currency: 'GBP', payee: '08080021325698' };

  async function payable() {
    const id = await lodgePayment(world.tpp);
    const { tokens } = await journeys.tokensUnder(id, { scope: 'openid payments' });
    return { id, token: tokens.access_token, ...(await accountsUnder(world, id)) };
  }

  const pay = (token: string, json: unknown = ordered, at = api) =>
    callBank(world, { path: '/payments', token }, { method: 'POST', json, at });

  it('is made once, as the customer has seen it, and uses its consent up', async () => {
    const { id, token, customer, chosen } = await payable();
    await openAccounts(sample, customer);
    const before = await books(chosen);
    const made = await pay(token);
    expect(made).toMatchObject({ status: 201, body: { consentId: id, status: 'accepted' } });
    expect(await books(chosen)).toEqual({
      debits: before.debits + 1,
      balance: expect.closeTo(before.balance - 165.88, 2) as number,
    });
    expect(await ukStatusOf(world.tpp, id, ukPayments)).toBe('COND');
  });

  it('is made once of fifty at the same time, at two servers', async () => {
    const { token, customer, chosen } = await payable();
    await openAccounts(sample, customer);
    const before = await books(chosen);
    const beside = await sample.start();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => pay(token, ordered, at % 2 === 0 ? api : beside)),
    );
    const made = answers.filter(({ status }) => status === 201);
    expect(made.length).toBeGreaterThan(0);
    expect(new Set(made.map(({ body }) => body['paymentId'])).size).toBe(1);
    // Whoever comes after the consent was used up has a token that is over.
    expect(answers.every(({ status }) => status === 201 || status === 401)).toBe(true);
    expect((await books(chosen)).debits).toBe(before.debits + 1);
  });

  it.each([
    ['more', { ...ordered, amount: '165.89' }, 403],
    ['another currency', { ...ordered, currency: 'EUR' }, 403],
    ['another payee', { ...ordered, payee: '08080021325699' }, 403],
    ['less than nothing', { ...ordered, amount: '-1.00' }, 400],
    ['another member', { ...ordered, payer: 'mine' }, 400],
    ['nothing', {}, 400],
    ['no object', 'pay', 400],
    ['very much text', { ...ordered, payee: 'a'.repeat(5000) }, 400],
  ])('of %s is refused', async (_, json, status) => {
    const { id, token } = await payable();
    expect(await pay(token, json)).toMatchObject({ status });
    expect(await ukStatusOf(world.tpp, id, ukPayments)).toBe('AUTH');
  });

  it('that a crash has left in the middle is ended by the next start, once', async () => {
    const { id, token, customer, chosen } = await payable();
    await openAccounts(sample, customer);
    const before = await books(chosen);
    const away: typeof fetch = (input, init) =>
      urlOf(input).includes('/consumption')
        ? Promise.reject(new TypeError('fetch failed'))
        : world.server.fetch()(input, init);
    const errors: unknown[] = [];
    const alone = await sample.start({ fetch: away, onError: (error) => errors.push(error) });
    expect(await pay(token, ordered, alone)).toMatchObject({ status: 503 });
    expect(errors).toHaveLength(1);
    expect(await books(chosen)).toEqual(before);
    await sample.start();
    await vi.waitFor(
      async () => {
        expect((await books(chosen)).debits).toBe(before.debits + 1);
      },
      { timeout: 10_000 },
    );
    await sample.start();
    expect(await ukStatusOf(world.tpp, id, ukPayments)).toBe('COND');
    expect((await books(chosen)).debits).toBe(before.debits + 1);
  });

  it('whose permission was given, but not heard of, is made a little later', async () => {
    const { token, customer, chosen } = await payable();
    await openAccounts(sample, customer);
    const before = await books(chosen);
    let isLost = true;
    const losing: typeof fetch = async (input, init) => {
      const response = await world.server.fetch()(input, init);
      if (isLost && urlOf(input).includes('/consumption'))
        throw new TypeError('the answer is lost');
      return response;
    };
    const alone = await sample.start({ fetch: losing, resumeMs: 50, onError: () => undefined });
    expect(await pay(token, ordered, alone)).toMatchObject({ status: 503 });
    isLost = false;
    await vi.waitFor(
      async () => {
        expect((await books(chosen)).debits).toBe(before.debits + 1);
      },
      { timeout: 10_000 },
    );
  });

  it('of a consent that ended meanwhile is rejected, and no money moves', async () => {
    const { id, token, customer, chosen } = await payable();
    await openAccounts(sample, customer);
    const before = await books(chosen);
    const late: typeof fetch = async (input, init) => {
      if (init?.method === 'POST' && urlOf(input).includes('/consumption')) {
        await rows(world.server, `UPDATE consents SET state = 'revoked' WHERE id = $1`, [id]);
      }
      return world.server.fetch()(input, init);
    };
    const alone = await sample.start({ fetch: late });
    expect(await pay(token, ordered, alone)).toEqual({
      ...{ status: 409, body: { error: 'consent_used' } },
    });
    expect(await books(chosen)).toEqual(before);
  });
});
