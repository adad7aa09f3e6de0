import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bankApi,
  journeysOf,
  lodgeAccess,
  lodgePayment,
  opaqueBankApi,
  plainConsents,
  startConsentServer,
  ukPayments,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { auditOf, basic, rows } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let journeys: ReturnType<typeof journeysOf>;

beforeAll(async () => {
  world = await startConsentServer();
  ({ server } = world);
  journeys = journeysOf(world);
});

afterAll(() => server.stop());

interface Call {
  body?: string;
  as?: string;
  secret?: string;
  method?: string;
  type?: string;
  at?: AuthorizationServer;
}

async function consume(id: string, payment: unknown, call: Call = {}) {
  const { as = 'bank-rs', secret = world.serverSecret, method = 'POST', at = server } = call;
  const response = await at.fetch()(`${server.issuer}${plainConsents}/${id}/consumption`, {
    method,
    headers: { ...basic(as, secret), 'content-type': call.type ?? 'application/json' },
    ...(method === 'POST' ? { body: call.body ?? JSON.stringify({ payment_id: payment }) } : {}),
  });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

async function authorisedPayment() {
  const id = await lodgePayment(world.tpp);
  const given = await journeys.tokensUnder(id, { scope: 'openid payments' });
  return { id, ...given };
}

describe('A payment consent', () => {
  it('is used up by its payment, with every token under it', async () => {
    const { id, tokens, refreshToken } = await authorisedPayment();
    expect(await journeys.introspect(tokens.access_token, 'bank-rs')).toMatchObject({
      active: true,
    });
    const used = await consume(id, 'pay-1');
    expect(used.status).toBe(200);
    expect(used.body).toEqual({ id, status: 'consumed', payment_id: 'pay-1' });
    expect(await ukStatusOf(world.tpp, id, ukPayments)).toBe('COND');
    expect(await journeys.introspect(tokens.access_token, 'bank-rs')).toEqual({ active: false });
    const { configuration } = world.tpp;
    await expect(openid.refreshTokenGrant(configuration, refreshToken)).rejects.toThrow();
    const history = await rows(
      server,
      'SELECT move, actor_type, actor_id, reason FROM consent_history WHERE consent_id = $1 ORDER BY version',
      [id],
    );
    expect(history.at(-1)).toEqual({
      ...{ move: 'consume', actor_type: 'resource-server', actor_id: bankApi, reason: 'pay-1' },
    });
    const audited = await auditOf(server, used);
    expect(audited.at(-1)).toMatchObject({
      ...{ type: 'consent.consumed', actor_id: 'bank-rs', client_id: 'aisp' },
      ...{ customer_id: server.customer.id, detail: { consent: id, payment: 'pay-1' } },
    });
  });

  it('is used up by the resource server that has its client’s permission, which stays its', async () => {
    const { clients } = server.running.app;
    const { id } = await authorisedPayment();
    const { [opaqueBankApi]: scopes = [] } = await clients.permissionsOf('aisp');
    const without = scopes.filter((scope) => scope !== 'payments');
    await clients.setPermission('aisp', opaqueBankApi, without);
    const foreign = { as: 'opaque-bank-rs' };
    expect((await consume(id, 'pay-1', foreign)).status).toBe(404);
    await clients.setPermission('aisp', opaqueBankApi, scopes);
    expect((await consume(id, 'pay-1', foreign)).status).toBe(200);
    await clients.setPermission('aisp', opaqueBankApi, without);
    expect((await consume(id, 'pay-1', foreign)).status).toBe(200);
    await clients.setPermission('aisp', opaqueBankApi, scopes);
  });

  it('tells the same payment the same, and another one that it is too late', async () => {
    const { id } = await authorisedPayment();
    const first = await consume(id, 'pay-1');
    expect(await consume(id, 'pay-1')).toMatchObject({ status: 200, body: first.body });
    const late = await consume(id, 'pay-2');
    expect(late).toMatchObject({ status: 409, body: { code: 'consent_state' } });
    const foreign = await consume(id, 'pay-1', { as: 'opaque-bank-rs' });
    expect(foreign).toMatchObject({ status: 409, body: { code: 'consent_state' } });
  });

  it('has one winner among fifty payments on two processes', async () => {
    const { id } = await authorisedPayment();
    const beside = await world.beside();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        consume(id, `pay-${String(at)}`, { at: at % 2 === 0 ? server : beside }),
      ),
    );
    await beside.stop();
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array<number>(49).fill(409)]);
  });
});

describe('Nothing is used up', () => {
  it('before the customer decided', async () => {
    const id = await lodgePayment(world.tpp);
    expect(await consume(id, 'pay-1')).toMatchObject({ status: 409 });
    expect(await ukStatusOf(world.tpp, id, ukPayments)).toBe('AWAU');
  });

  it('of a consent that is for no payment', async () => {
    const id = await lodgeAccess(world.tpp);
    await journeys.authorise(id);
    expect(await consume(id, 'pay-1')).toMatchObject({
      status: 400,
      body: {
        code: 'consent_invalid',
        errors: [{ path: 'consent_id', detail: expect.stringContaining('accounts') as string }],
      },
    });
    expect(await ukStatusOf(world.tpp, id)).toBe('AUTH');
  });

  it.each<[string, Call & { payment?: unknown }, number]>([
    ['by a wrong secret', { secret: 'wrong' }, 401],
    ['by a client that is no resource server', { as: 'aisp' }, 401],
    ['by GET', { method: 'GET' }, 405],
    ['without JSON', { type: 'text/plain' }, 415],
    ['with a member that is not known', { body: '{"payment_id":"pay-1","amount":"1"}' }, 400],
    ['without a payment', { body: '{}' }, 400],
    ['with a payment of another type', { payment: 7 }, 400],
    ['with an empty payment', { payment: '' }, 400],
    ['with a payment of two lines', { payment: 'a\nb' }, 400],
    ['with a longer payment', { payment: 'a'.repeat(65) }, 400],
    ['with a huge body', { payment: 'a'.repeat(40_000) }, 413],
    ['with half a body', { body: '{"payment_id":' }, 400],
  ])('%s', async (_, { payment = 'pay-1', ...call }, status) => {
    const id = await lodgePayment(world.tpp);
    expect((await consume(id, payment, call)).status).toBe(status);
    expect(await ukStatusOf(world.tpp, id, ukPayments)).toBe('AWAU');
  });

  it('and who asks is told what is wrong with the request, as where consents are lodged', async () => {
    const id = await lodgePayment(world.tpp);
    expect((await consume(id, 7)).body).toMatchObject({
      ...{ code: 'consent_invalid', errors: [{ path: 'payment_id' }] },
    });
  });

  it('of a consent that nobody lodged', async () => {
    const unknown = `urn:countersign:consent:${'a'.repeat(32)}`;
    expect(await consume(unknown, 'pay-1')).toMatchObject({ status: 404 });
  });
});
