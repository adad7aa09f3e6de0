import { decodeJwt } from 'jose';
import type { AccessToken } from 'countersign/resource-server';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningApi } from '../../examples/resource-server/server.ts';
import { apiRole } from '../../examples/resource-server/bank/schema.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  journeysOf,
  lodgeAccess,
  lodgePayment,
  startConsentServer,
  ukAccess,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import {
  accountsUnder,
  callBank,
  openAccounts,
  sampleBank,
  trusting,
} from '../support/sample-bank.ts';
import type { BankCall, SampleBank } from '../support/sample-bank.ts';

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

const call = (path: string, token: string, given: Partial<BankCall> = {}) =>
  callBank(world, { path, token }, { at: api, ...given });

/** A token under a consent to the first of the customer's two accounts. */
async function consented() {
  const id = await lodgeAccess(world.tpp);
  const { tokens } = await journeys.tokensUnder(id);
  return { id, token: tokens.access_token, ...(await accountsUnder(world, id)) };
}

describe('A token under a consent', () => {
  it('shows the accounts that the customer chose, and no others', async () => {
    const { token, chosen, other, customer } = await consented();
    const listed = await call('/accounts', token);
    expect(listed).toMatchObject({
      ...{ status: 200, body: { accounts: [{ accountId: chosen, holder: customer }] } },
    });
    expect(listed.body['accounts']).toHaveLength(1);
    const balances = await call(`/accounts/${chosen}/balances`, token);
    expect(balances).toMatchObject({ status: 200, body: { balances: [{ currency: 'GBP' }] } });
    const transactions = await call(`/accounts/${chosen}/transactions`, token);
    expect(transactions.status).toBe(200);
    expect((transactions.body['transactions'] as unknown[]).at(-1)).toMatchObject({
      reference: 'Opening balance',
    });
    const unknown = { status: 404, body: { error: 'account_not_found' } };
    expect(await call(`/accounts/${other}/balances`, token)).toEqual(unknown);
    expect(await call(`/accounts/${other}/transactions`, token)).toEqual(unknown);
    expect(await call('/accounts/nobodys/balances', token)).toEqual(unknown);
  });

  it('shows what was permitted, and nothing else', async () => {
    const body = { Data: { Permissions: ['ReadAccountsBasic'] }, Risk: {} };
    const { body: lodged } = await world.tpp.call('POST', ukAccess, { scope: 'accounts', body });
    const id = String((lodged['Data'] as Record<string, unknown>)['ConsentId']);
    const { tokens } = await journeys.tokensUnder(id);
    const { chosen } = await accountsUnder(world, id);
    const denied = { status: 403, body: { error: 'permission_missing' } };
    expect(await call(`/accounts/${chosen}/balances`, tokens.access_token)).toEqual(denied);
    expect(await call(`/accounts/${chosen}/transactions`, tokens.access_token)).toEqual(denied);
  });

  it('shows no transactions outside the time that was agreed', async () => {
    const permissions = ['ReadAccountsBasic', 'ReadTransactionsBasic', 'ReadTransactionsDebits'];
    const past = { TransactionToDateTime: '2026-01-01T00:00:00+00:00' };
    const body = { Data: { Permissions: permissions, ...past }, Risk: {} };
    const { body: lodged } = await world.tpp.call('POST', ukAccess, { scope: 'accounts', body });
    const id = String((lodged['Data'] as Record<string, unknown>)['ConsentId']);
    const { tokens } = await journeys.tokensUnder(id);
    const { chosen } = await accountsUnder(world, id);
    const answer = await call(`/accounts/${chosen}/transactions`, tokens.access_token);
    expect(answer).toEqual({ status: 200, body: { transactions: [] } });
  });
});

it('A token without a customer has no balance', async () => {
  const token = await world.tpp.token('accounts');
  expect(await call('/accounts/any/balances', token)).toMatchObject({
    ...{ status: 403, body: { error: 'insufficient_scope' } },
  });
});

/** A token that was admitted, with whatever a test wants it to say. */
async function admitted(): Promise<{ token: Partial<AccessToken>; other: string; chosen: string }> {
  const { id, customer, chosen, other } = await consented();
  const consent = {
    ...({ id, status: 'authorised', clientId: 'aisp', customer, terms: {} } as const),
    permissions: ['ReadBalances', 'ReadTransactionsDetail'],
    accounts: [{ id: chosen }],
  };
  return { token: { subject: customer, clientId: 'aisp', consent }, chosen, other };
}

const unchecked = () => undefined;

/** Each request is one that only the layer in question has something against. */
describe('With all other layers switched off', () => {
  interface Case {
    path: string;
    token: string;
    certificate?: IssuedCertificate | undefined;
  }

  const cases: [string, number, () => Promise<Case>][] = [
    [
      'the token is verified',
      401,
      async () => {
        const { token, chosen } = await consented();
        const [header, , signature] = token.split('.');
        const claims = { ...decodeJwt(token), jti: 'another' };
        const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
        const changed = [header, payload, signature].join('.');
        return { path: `/accounts/${chosen}/balances`, token: changed };
      },
    ],
    [
      'the binding is',
      401,
      async () => {
        const { token, chosen } = await consented();
        const { certificate } = world.other;
        return { path: `/accounts/${chosen}/balances`, token, certificate };
      },
    ],
    [
      'the scope is',
      403,
      async () => {
        const id = await lodgePayment(world.tpp);
        const { tokens } = await journeys.tokensUnder(id, { scope: 'openid payments' });
        const { chosen } = await accountsUnder(world, id);
        return { path: `/accounts/${chosen}/balances`, token: tokens.access_token };
      },
    ],
    [
      'the state of the consent is',
      401,
      async () => {
        const { id, token, chosen } = await consented();
        await world.tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
        return { path: `/accounts/${chosen}/balances`, token };
      },
    ],
  ];

  it.each(cases)('%s', async (_, status, prepare) => {
    const { path, ...request } = await prepare();
    const { token } = await admitted();
    const off = { bank: sample.unguarded, layers: { checkOwnership: unchecked } };
    const alone = await sample.start(off);
    expect(await call(path, request.token, { ...request, at: alone })).toMatchObject({ status });
    const none = await sample.start({ ...off, layers: { ...off.layers, guard: trusting(token) } });
    expect(await call(path, request.token, { ...request, at: none })).toMatchObject({
      status: 200,
    });
  });

  it('ownership is', async () => {
    const { token, other } = await admitted();
    const guard = trusting(token);
    const alone = await sample.start({ bank: sample.unguarded, layers: { guard } });
    const none = await sample.start({
      ...{ bank: sample.unguarded, layers: { guard, checkOwnership: unchecked } },
    });
    for (const what of ['balances', 'transactions']) {
      const path = `/accounts/${other}/${what}`;
      expect(await call(path, 'any', { at: alone })).toMatchObject({ status: 404 });
      expect(await call(path, 'any', { at: none })).toMatchObject({ status: 200 });
    }
  });

  it('the rows are', async () => {
    const { token, other } = await admitted();
    const layers = { guard: trusting(token), checkOwnership: unchecked };
    const alone = await sample.start({ layers });
    const none = await sample.start({ bank: sample.unguarded, layers });
    const balances = `/accounts/${other}/balances`;
    expect(await call(balances, 'any', { at: alone })).toMatchObject({ status: 404 });
    expect(await call(balances, 'any', { at: none })).toMatchObject({ status: 200 });
    const transactions = `/accounts/${other}/transactions`;
    expect(await call(transactions, 'any', { at: alone })).toEqual({
      ...{ status: 200, body: { transactions: [] } },
    });
    const seen = await call(transactions, 'any', { at: none });
    expect(seen.body['transactions']).toHaveLength(1);
    const list = await call('/accounts', 'any', { at: none });
    expect((list.body['accounts'] as unknown[]).length).toBeGreaterThan(1);
    expect((await call('/accounts', 'any', { at: alone })).body['accounts']).toHaveLength(1);
  });
});

describe('The role that answers requests', () => {
  let client: pg.Client;

  beforeEach(async () => {
    client = new pg.Client({ ...sample.database.connection, user: apiRole });
    await client.connect();
  });

  afterEach(() => client.end());

  it('sees nothing before it says for whom', async () => {
    for (const table of ['accounts', 'payments']) {
      const { rows: seen } = await client.query(`SELECT * FROM bank.${table}`);
      expect({ table, seen }).toEqual({ table, seen: [] });
    }
  });

  it.each([
    'UPDATE bank.accounts SET balance = 1000000',
    "INSERT INTO bank.transactions (account_id, amount, reference) VALUES ('a', 1, 'me')",
    'DELETE FROM bank.payments',
    'UPDATE bank.payments SET amount = 1',
    'ALTER TABLE bank.accounts DISABLE ROW LEVEL SECURITY',
    'DROP POLICY allowed ON bank.accounts',
    'SET ROLE postgres',
  ])('may not %s', async (statement) => {
    await expect(client.query(statement)).rejects.toThrow(/permission denied|must be owner/);
  });

  it('writes payments of its own mandate only, and none that is already accepted', async () => {
    const { token, chosen } = await admitted();
    const say = (holder: string, consent: string) =>
      client.query(
        `SELECT set_config('bank.holder', $1, false), set_config('bank.consent', $2, false), set_config('bank.accounts', '*', false)`,
        [holder, consent],
      );
    const holder = token.subject ?? '';
    const insert = (consent: string, by = holder) =>
      client.query(
        `INSERT INTO bank.payments (id, consent_id, holder, account_id, amount, currency, payee)
         VALUES ($1, $1, $2, $3, 1, 'GBP', 'me')`,
        [consent, by, chosen],
      );
    await openAccounts(sample, holder);
    await say(holder, 'consent-1');
    const refused = /row-level security/;
    await expect(insert('consent-2')).rejects.toThrow(refused);
    await expect(insert('consent-1', 'another')).rejects.toThrow(refused);
    await say('another', 'consent-1');
    await expect(insert('consent-1', 'another')).rejects.toThrow(refused);
    await say(holder, 'consent-1');
    await insert('consent-1');
    const settle = `UPDATE bank.payments SET status = 'accepted' WHERE consent_id = 'consent-1'`;
    expect((await client.query(settle)).rowCount).toBe(1);
    expect((await client.query(settle)).rowCount).toBe(0);
  });
});

it('Nobody gets in while the authorization server cannot be asked', async () => {
  const { token, chosen } = await consented();
  const errors: unknown[] = [];
  const alone = await sample.start({
    fetch: () => Promise.reject(new TypeError('fetch failed')),
    onError: (error) => errors.push(error),
  });
  const answer = await call(`/accounts/${chosen}/balances`, token, { at: alone });
  expect(answer).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
  expect(errors.length).toBeGreaterThan(0);
});
