import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  bankApi,
  journeysOf,
  lodgeAccess,
  lodgePayment,
  opaqueBankApi,
  startConsentServer,
  ukAccess,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import {
  movesOf,
  startEventReceiver,
  stepOf,
  verifiedEvent,
  withoutDoubles,
} from '../support/event-receiver.ts';
import type { EventReceiver } from '../support/event-receiver.ts';
import { streamDraft } from '../support/events.ts';
import { rows } from '../support/protocol.ts';
import { everyTable, formsOf } from '../support/secrets-seen.ts';

const secret = 'Bearer of-the-receiver-VBa8xq3PzLr0s7TnW1yK';

let receiver: EventReceiver;
let world: ConsentServer;

beforeAll(async () => {
  receiver = await startEventReceiver();
  world = await startConsentServer({
    environment: {
      ...receiver.environment,
      COUNTERSIGN_EVENTS_TIMEOUT: '4000',
      COUNTERSIGN_EVENTS_LONGEST_RETRY: '1',
    },
  });
  const { eventStreams } = world.server.running.app;
  const endpoint = (name: string) => `${receiver.url}?for=${name}`;
  await eventStreams.insert(
    streamDraft({
      ...{ id: 'bank', resourceServer: bankApi, authorization: secret },
      endpoint: endpoint('bank'),
    }),
  );
  await eventStreams.insert(
    streamDraft({ id: 'aisp', clientId: 'aisp', endpoint: endpoint('aisp') }),
  );
  await eventStreams.insert(
    streamDraft({ id: 'other', clientId: 'other', endpoint: endpoint('other') }),
  );
});

afterAll(async () => {
  await world.server.stop();
  await receiver.close();
});

beforeEach(async () => {
  await receiver.close();
  await receiver.up();
  receiver.answerBy(() => ({ status: 202 }));
});

/** What `name` was sent of a consent, in the order of arrival. */
const sentTo = (name: string, consentId: string) =>
  receiver.received.filter(
    ({ path, claims }) => path.endsWith(`=${name}`) && stepOf(claims).consent === consentId,
  );
const movesTo = (name: string, id: string) => movesOf(sentTo(name, id), id);

const withdraw = (id: string) =>
  world.tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });

async function expectTold(name: string, id: string, moves: string[]): Promise<void> {
  await vi.waitFor(
    () => {
      expect(movesTo(name, id)).toEqual(moves);
    },
    { timeout: 15_000, interval: 20 },
  );
}

describe('A change to a consent', () => {
  it('is told to its resource server and its client, signed, within a second', async () => {
    const { server, tpp } = world;
    const id = await lodgeAccess(tpp);
    const { callback } = await journeysOf(world).authorise(id);
    expect(callback.searchParams.has('code')).toBe(true);
    await expectTold('bank', id, ['create', 'authorise']);
    const begun = performance.now();
    expect((await withdraw(id)).status).toBe(204);
    await expectTold('bank', id, ['create', 'authorise', 'revoke']);
    await expectTold('aisp', id, ['create', 'authorise', 'revoke']);
    const last = sentTo('bank', id)[2];
    expect((last?.at ?? Infinity) - begun).toBeLessThan(1000);
    expect(last).toMatchObject({
      ...{ authorization: secret, contentType: 'application/secevent+jwt' },
    });
    const claims = await verifiedEvent(server, last?.jwt ?? '', bankApi);
    expect(claims).toEqual({
      iss: server.issuer,
      aud: bankApi,
      iat: expect.any(Number) as number,
      toe: expect.any(Number) as number,
      jti: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      txn: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      sub_id: { format: 'opaque', id },
      events: {
        'urn:countersign:event:consent:revoke': {
          ...{ state: 'revoked', version: 3, type: 'accounts', client_id: 'aisp' },
          ...{ initiated_by: 'client', reason: 'client' },
        },
      },
    });
    const [toClient] = sentTo('aisp', id);
    await verifiedEvent(server, toClient?.jwt ?? '', 'aisp');
    expect(toClient?.authorization).toBeUndefined();
    expect(movesTo('other', id)).toEqual([]);
  });

  it('says nothing of who the customer is', async () => {
    const { server, tpp } = world;
    const id = await lodgePayment(tpp);
    await journeysOf(world).authorise(id, { scope: 'openid payments' });
    await expectTold('bank', id, ['create', 'authorise']);
    const said = JSON.stringify(sentTo('bank', id).map(({ claims }) => claims));
    for (const personal of [server.customer.id, 'Casey', 'casey', '165.88', '0808002']) {
      expect(said).not.toContain(personal);
    }
  });

  it('is told by whatever process is there', { timeout: 90_000 }, async () => {
    const beside = await world.beside();
    try {
      const ids = await Promise.all(Array.from({ length: 10 }, () => lodgeAccess(world.tpp)));
      await Promise.all(ids.map(withdraw));
      await vi.waitFor(
        () => {
          for (const id of ids) {
            // At least once: where this machine is busy, an answer may come too late to count.
            const once = withoutDoubles(sentTo('bank', id));
            expect(movesOf(once, id)).toEqual(['create', 'withdraw']);
          }
        },
        { timeout: 15_000, interval: 50 },
      );
    } finally {
      await beside.stop();
    }
  });
});

describe('A receiver', () => {
  it('that is down gets everything in its order when it is back', async () => {
    const { server, tpp } = world;
    await receiver.down();
    const ids = [await lodgeAccess(tpp), await lodgeAccess(tpp), await lodgeAccess(tpp)];
    for (const id of ids) await withdraw(id);
    const { eventStreams } = server.running.app;
    await vi.waitFor(
      async () => {
        expect(await eventStreams.health('bank')).toMatchObject({
          ...{ pending: 6, reason: 'unreachable', failures: expect.any(Number) as number },
          retryAt: expect.any(Date) as Date,
        });
      },
      { timeout: 10_000 },
    );
    await receiver.up();
    for (const id of ids) await expectTold('bank', id, ['create', 'withdraw']);
    await vi.waitFor(
      async () => {
        expect(await eventStreams.health('bank')).toMatchObject({ pending: 0, failures: 0 });
      },
      { timeout: 10_000 },
    );
  });

  it('that is too slow gets an event again, with the same jti, and holds up no other', async () => {
    let isFirst = true;
    receiver.answerBy(({ path }) => {
      if (!path.endsWith('=bank') || !isFirst) return { status: 202 };
      isFirst = false;
      return undefined;
    });
    const id = await lodgeAccess(world.tpp);
    await withdraw(id);
    await expectTold('aisp', id, ['create', 'withdraw']);
    expect(movesTo('bank', id)).toEqual(['create']);
    await expectTold('bank', id, ['create', 'create', 'withdraw']);
    const [first, again] = sentTo('bank', id).map(({ claims }) => claims);
    expect(again).toEqual(first);
  });

  it('that refuses an event for good loses it, which is recorded, and gets the next', async () => {
    const { server, tpp } = world;
    receiver.answerBy(({ path, claims }) =>
      path.endsWith('=bank') && stepOf(claims).move === 'create'
        ? { status: 400, body: { err: 'invalid_request', description: 'no' } }
        : { status: 202 },
    );
    const id = await lodgeAccess(tpp);
    await withdraw(id);
    await expectTold('bank', id, ['create', 'withdraw']);
    await vi.waitFor(
      async () => {
        await server.running.app.audit.flush();
        const lost = await rows(
          server,
          `SELECT outcome, detail FROM audit_events
          WHERE type = 'security_event.lost' AND detail->>'consent' = $1`,
          [id],
        );
        const jti = sentTo('bank', id)[0]?.claims.jti;
        expect(lost).toEqual([
          {
            outcome: 'error',
            detail: { stream: 'bank', consent: id, jti, reason: 'invalid_request' },
          },
        ]);
      },
      { timeout: 10_000 },
    );
    const metrics = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
    expect(metrics).toContain(
      'countersign_security_event_deliveries_total{delivery="push",outcome="rejected"} 1',
    );
    expect(metrics).toMatch(/countersign_security_event_backlog\{delivery="push"\} \d/);
  });

  it.each([
    ['that does not know our secret', { status: 401 }],
    ['whose error is one that can be mended', { status: 400, body: { err: 'invalid_key' } }],
    ['that has one event too many', { status: 422 }],
    ['that is busy', { status: 503 }],
    ['that answers like a page', { status: 200, body: {} }],
  ])('%s is asked again until it takes the event', async (_which, answer) => {
    let refusals = 1;
    receiver.answerBy(({ path }) => {
      if (!path.endsWith('=bank') || refusals === 0) return { status: 202 };
      refusals -= 1;
      return answer;
    });
    const id = await lodgeAccess(world.tpp);
    await expectTold('bank', id, ['create', 'create']);
    await withdraw(id);
    await expectTold('bank', id, ['create', 'create', 'withdraw']);
  });
});

describe('A stream', () => {
  it('tells of what its scopes cover, and nothing to whom it is not for', () => {
    const wrong = receiver.received.filter(({ path, claims }) => {
      const name = path.split('=')[1];
      const expected = name === 'bank' ? bankApi : name;
      return claims.aud !== expected || stepOf(claims).client_id === 'other';
    });
    expect(wrong).toEqual([]);
    expect(opaqueBankApi).not.toBe(bankApi);
  });

  it('keeps its secret out of the database, the log, the metrics and the audit trail', async () => {
    const { server } = world;
    const id = await lodgeAccess(world.tpp);
    await expectTold('bank', id, ['create']);
    await server.running.app.audit.flush();
    const places = await everyTable(server);
    places.set('log', await server.log.raw());
    places.set('metrics', await (await fetch(`${server.operationsOrigin}/metrics`)).text());
    const forms = [secret, secret.slice('Bearer '.length)].flatMap(formsOf);
    for (const [place, text] of places) {
      expect(
        forms.filter((form) => text.includes(form)),
        `in ${place}`,
      ).toEqual([]);
    }
    expect(receiver.received.some(({ authorization }) => authorization === secret)).toBe(true);
  });
});
