import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  accessRequest,
  bankApi,
  lodgeAccess,
  paymentRequest,
  plainConsents,
  startConsentServer,
  ukAccess,
  ukFunds,
  ukPayments,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp, TppAnswer } from '../support/consents.ts';
import { rows, statusWithAuthorizations } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let tpp: Tpp;

beforeAll(async () => {
  world = await startConsentServer();
  ({ server, tpp } = world);
});

afterAll(() => server.stop());

const dataOf = ({ body }: TppAnswer) => body['Data'] as Record<string, unknown>;
const codesOf = ({ body }: TppAnswer) =>
  (body['Errors'] as { ErrorCode: string }[]).map(({ ErrorCode }) => ErrorCode);
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

const plainRequest = {
  type: 'accounts',
  permissions: ['account-details', 'transactions'],
  expires_at: inDays(90),
};

async function auditTypesOf(consentId: string): Promise<string[]> {
  await server.running.app.audit.flush();
  const found = await rows(
    server,
    `SELECT type FROM audit_events WHERE detail->>'consent' = $1 ORDER BY at, id`,
    [consentId],
  );
  return found.map(({ type }) => String(type));
}

describe('A client below the least profile', () => {
  it('lodges and reads nothing with a token from before', async () => {
    const lodged = await tpp.call('POST', ukAccess, { scope: 'accounts', body: accessRequest });
    const path = `${ukAccess}/${String(dataOf(lodged)['ConsentId'])}`;
    const strict = await startAuthorizationServer({
      beside: server,
      environment: {
        COUNTERSIGN_CONSENTS_RESOURCE: bankApi,
        COUNTERSIGN_DEFAULT_RESOURCE: bankApi,
        COUNTERSIGN_MINIMUM_PROFILE: 'fapi2',
      },
    });
    try {
      const request = { scope: 'accounts', body: accessRequest, at: strict };
      const before = await rows(server, 'SELECT count(*) FROM consents');
      expect((await tpp.call('POST', ukAccess, request)).status).toBe(401);
      expect((await tpp.call('GET', path, { scope: 'accounts', at: strict })).status).toBe(401);
      expect(await rows(server, 'SELECT count(*) FROM consents')).toEqual(before);
    } finally {
      await strict.stop();
    }
    expect((await tpp.call('GET', path, { scope: 'accounts' })).status).toBe(200);
  });
});

describe('Two Authorization headers', () => {
  it('are not taken for the first of them', async () => {
    const id = await lodgeAccess(tpp);
    const url = `${server.mtlsOrigin}${ukAccess}/${id}`;
    const token = await tpp.token('accounts');
    const by = { authority: server.certificates.authority, certificate: tpp.certificate };
    const ask = (lines: string[]) => statusWithAuthorizations(url, lines, by);
    expect(await ask([`Bearer ${token}`, 'Bearer x'])).toBe(400);
    expect(await ask([`Bearer ${token}`])).toBe(200); // the control
  });
});

describe('The UK API', () => {
  it('lodges, shows and ends access to accounts in the standard’s words', async () => {
    const lodged = await tpp.call('POST', ukAccess, { scope: 'accounts', body: accessRequest });
    expect(lodged.status).toBe(201);
    const id = String(dataOf(lodged)['ConsentId']);
    const self = `${server.mtlsOrigin}${ukAccess}/${id}`;
    expect(lodged.headers.get('location')).toBe(self);
    expect(lodged.body).toEqual({
      Data: {
        ...accessRequest.Data,
        ConsentId: id,
        Status: 'AWAU',
        StatusReason: [
          { StatusReasonCode: 'U036', StatusReasonDescription: 'Authorisation not completed' },
        ],
        CreationDateTime: expect.any(String) as string,
        StatusUpdateDateTime: dataOf(lodged)['CreationDateTime'],
      },
      Risk: {},
      Links: { Self: self },
      Meta: { TotalPages: 1 },
    });
    const read = await tpp.call('GET', `${ukAccess}/${id}`, { scope: 'accounts' });
    expect({ status: read.status, body: read.body }).toEqual({ status: 200, body: lodged.body });
    const ended = await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    expect({ status: ended.status, body: ended.body }).toEqual({ status: 204, body: {} });
    expect(await ukStatusOf(tpp, id)).toBe('RJCT');
    const again = await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    expect({ status: again.status, codes: codesOf(again) }).toEqual({
      status: 400,
      codes: ['U009'],
    });
    expect(await auditTypesOf(id)).toEqual(
      ['created', 'read', 'rejected', 'read', 'refused'].map((what) => `consent.${what}`),
    );
  });

  it('is also at the path without the resource group', async () => {
    const path = '/open-banking/v4.0/account-access-consents';
    const lodged = await tpp.call('POST', path, { scope: 'accounts', body: accessRequest });
    expect(lodged.status).toBe(201);
    const id = String(dataOf(lodged)['ConsentId']);
    expect(lodged.body['Links']).toEqual({ Self: `${server.mtlsOrigin}${path}/${id}` });
    expect(await ukStatusOf(tpp, id)).toBe('AWAU');
  });

  it('fixes amount and payee of a payment, which can not be deleted', async () => {
    const headers = { 'x-idempotency-key': randomUUID() };
    const call = { scope: 'payments', body: paymentRequest, headers };
    const lodged = await tpp.call('POST', ukPayments, call);
    expect(lodged.status).toBe(201);
    expect(dataOf(lodged)['Initiation']).toEqual(paymentRequest.Data.Initiation);
    expect(lodged.body['Risk']).toEqual(paymentRequest.Risk);
    const path = `${ukPayments}/${String(dataOf(lodged)['ConsentId'])}`;
    const refused = await tpp.call('DELETE', path, { scope: 'payments' });
    expect(refused.status).toBe(405);
    expect(refused.headers.get('allow')).toBe('GET');
  });

  it('lodges the confirmation of funds', async () => {
    const DebtorAccount = { SchemeName: 'UK.OBIE.IBAN', Identification: 'GB76LOYD30949301273801' };
    const body = { Data: { DebtorAccount } };
    const lodged = await tpp.call('POST', ukFunds, { scope: 'fundsconfirmations', body });
    expect(lodged.status).toBe(201);
    expect(dataOf(lodged)).toMatchObject({ DebtorAccount, Status: 'AWAU' });
    expect(lodged.body).not.toHaveProperty('Risk');
  });

  it.each([
    ['no permissions', { Data: { Permissions: [] } }, ['U002']],
    ['an unknown permission', { Data: { Permissions: ['ReadAll'] } }, ['U002']],
    ['a missing one', { Data: { Permissions: ['ReadBalances'] } }, ['U002']],
    [
      'transactions without a direction',
      { Data: { Permissions: ['ReadAccountsBasic', 'ReadTransactionsBasic'] } },
      ['U002'],
    ],
    [
      'an end in the past',
      { Data: { Permissions: ['ReadAccountsBasic'], ExpirationDateTime: '2020-01-01T00:00:00Z' } },
      ['U003'],
    ],
    ['a member that is ours', { ...accessRequest, Status: 'AUTH' }, ['U002']],
    ['no data', {}, ['U004']],
  ])('refuses %s', async (_what, body, codes) => {
    const answer = await tpp.call('POST', ukAccess, { scope: 'accounts', body });
    expect(answer.status).toBe(400);
    expect(codesOf(answer)).toEqual(codes);
    expect(answer.body['Id']).toMatch(/^[\da-f-]{36}$/);
  });

  it('wants an idempotency key for payments', async () => {
    const call = { scope: 'payments', body: paymentRequest };
    const missing = await tpp.call('POST', ukPayments, call);
    expect({ status: missing.status, codes: codesOf(missing) }).toEqual({
      status: 400,
      codes: ['U007'],
    });
    const headers = { 'x-idempotency-key': 'x'.repeat(41) };
    expect(codesOf(await tpp.call('POST', ukPayments, { ...call, headers }))).toEqual(['U006']);
  });

  it('refuses a payee whose name hides something', async () => {
    const body = structuredClone(paymentRequest);
    body.Data.Initiation.CreditorAccount.Name = 'ACME\u202E cnI';
    const headers = { 'x-idempotency-key': randomUUID() };
    const refused = await tpp.call('POST', ukPayments, { scope: 'payments', body, headers });
    expect({ status: refused.status, codes: codesOf(refused) }).toEqual({
      ...{ status: 400, codes: ['U002'] },
    });
  });

  it('refuses a key that stood for another payment', async () => {
    const headers = { 'x-idempotency-key': randomUUID() };
    const first = { scope: 'payments', body: paymentRequest, headers };
    const lodged = await tpp.call('POST', ukPayments, first);
    expect((await tpp.call('POST', ukPayments, first)).body).toEqual(lodged.body);
    const body = structuredClone(paymentRequest);
    body.Data.Initiation.InstructedAmount.Amount = '9999.00';
    const refused = await tpp.call('POST', ukPayments, { ...first, body });
    expect({ status: refused.status, codes: codesOf(refused) }).toEqual({
      status: 400,
      codes: ['U006'],
    });
  });
});

describe('The neutral API', () => {
  it('lodges, shows and ends a consent', async () => {
    const lodged = await tpp.call('POST', plainConsents, { scope: 'consents', body: plainRequest });
    expect(lodged.status).toBe(201);
    expect(lodged.body).toMatchObject({
      ...plainRequest,
      status: 'awaiting-authorisation',
      accounts: [],
    });
    const path = `${plainConsents}/${String(lodged.body['id'])}`;
    const read = await tpp.call('GET', path, { scope: 'consents' });
    expect(read.body).toEqual(lodged.body);
    expect((await tpp.call('DELETE', path, { scope: 'consents' })).status).toBe(204);
    const again = await tpp.call('DELETE', path, { scope: 'consents' });
    expect(again.status).toBe(409);
    expect(again.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(again.body).toEqual({
      type: 'urn:countersign:problem:consent_state',
      title: 'The consent is not in a state in which this can be done.',
      status: 409,
      code: 'consent_state',
      reference: again.headers.get('x-request-id'),
    });
  });

  it('says where a request is wrong', async () => {
    const body = {
      ...plainRequest,
      permissions: ['everything'],
      expires_at: 'tomorrow',
      admin: true,
    };
    const refused = await tpp.call('POST', plainConsents, { scope: 'consents', body });
    expect(refused.status).toBe(400);
    expect((refused.body['errors'] as { path: string }[]).map(({ path }) => path)).toEqual([
      'permissions.0',
      'expires_at',
      '',
    ]);
  });

  it('makes one consent of parallel requests with one key, on two processes', async () => {
    const beside = await world.beside();
    const headers = { 'x-idempotency-key': randomUUID() };
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        tpp.call('POST', plainConsents, {
          ...{ scope: 'consents', body: plainRequest, headers },
          at: i % 2 === 0 ? server : beside,
        }),
      ),
    );
    await beside.stop();
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
  });

  it('refuses a key that stood for another request', async () => {
    const headers = { 'x-idempotency-key': randomUUID() };
    await tpp.call('POST', plainConsents, { scope: 'consents', body: plainRequest, headers });
    const body = { ...plainRequest, permissions: ['balances'] };
    const refused = await tpp.call('POST', plainConsents, { scope: 'consents', body, headers });
    expect(refused).toMatchObject({ status: 409, body: { code: 'idempotency_mismatch' } });
  });
});

describe('Bodies', () => {
  const lodge = (text: string, headers: Record<string, string> = {}) =>
    tpp.call('POST', plainConsents, { scope: 'consents', text, headers });

  it.each([
    ['nothing', '', 400],
    ['no JSON', '{', 400],
    ['no object', '[]', 400],
    ['a member twice', '{"type":"accounts","type":"payment"}', 400],
    ['a deep one', '['.repeat(30) + ']'.repeat(30), 400],
    ['a large one', JSON.stringify({ type: 'x'.repeat(40_000) }), 413],
  ])('that are %s are refused', async (_what, text, status) => {
    expect((await lodge(text)).status).toBe(status);
  });

  it('of another type are refused', async () => {
    const answer = await lodge('type=accounts', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(answer.status).toBe(415);
  });
});
