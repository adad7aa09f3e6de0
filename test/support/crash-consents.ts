import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { consentMoves } from '../../src/consents/consent.ts';
import type { ConsentMove, ConsentState } from '../../src/consents/consent.ts';
import {
  accessRequest,
  chooseFirst,
  consentPageOf,
  intentRequest,
  lodgeAccess,
  lodgePayment,
  paymentRequest,
  plainConsents,
  ukAccess,
  ukPayments,
  ukStatusOf,
} from './consents.ts';
import type { ConsentServer } from './consents.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { basic, rows } from './protocol.ts';
import type { AuthorizationServer } from './server.ts';

type Kind = 'access' | 'payment';

/** What is done with consents while servers are killed. */
export interface ConsentGround {
  world: ConsentServer;
  /** A browser whose customer is logged in. */
  browser: CustomerAgent;
  /** Every consent that was lodged. */
  lodged: Set<string>;
  /** Authorised consents that nobody uses yet. */
  authorised: Record<Kind, string[]>;
  /** The state that each consent was told to be in for good. */
  told: Map<string, ConsentState>;
  /** Moves that were made without the caller's learning of it. */
  doneUntold: number;
}

/** A move that may be interrupted, and what must hold afterwards. */
export interface ConsentAct {
  act(at: AuthorizationServer): Promise<number>;
  /** `status` is undefined where the connection broke first. */
  verify(status: number | undefined): Promise<void>;
}

/** Prepares a move. */
export type ConsentFlow = (ground: ConsentGround) => Promise<ConsentAct>;

/** A ground on which nothing has happened. */
export async function newConsentGround(world: ConsentServer): Promise<ConsentGround> {
  const browser = createCustomerAgent(world.server);
  const id = await lodgeAccess(world.tpp);
  await consentPageOf(world.server, (await intentRequest(world.tpp, id)).url, browser);
  return {
    ...{ world, browser, lodged: new Set([id]) },
    ...{ authorised: { access: [], payment: [] }, told: new Map(), doneUntold: 0 },
  };
}

const pathOf = { access: ukAccess, payment: ukPayments };
const scopeOf = { access: 'accounts', payment: 'payments' };
const bodyOf = { access: accessRequest, payment: paymentRequest };

const statusOf = ({ world }: ConsentGround, id: string, kind: Kind) =>
  ukStatusOf(world.tpp, id, pathOf[kind]);

/** A key lodges one consent, however often it has to be sent. */
function lodging(kind: Kind): ConsentFlow {
  return async (ground) => {
    const { tpp } = ground.world;
    const headers = { 'x-idempotency-key': randomBytes(8).toString('hex') };
    const call = { scope: scopeOf[kind], body: bodyOf[kind], headers };
    await tpp.token(call.scope);
    let told: unknown;
    const lodge = async (at?: AuthorizationServer) => {
      const { status, body } = await tpp.call('POST', pathOf[kind], at ? { ...call, at } : call);
      return { status, id: (body['Data'] as { ConsentId?: unknown } | undefined)?.ConsentId };
    };
    return {
      async act(at) {
        const { status, id } = await lodge(at);
        if (status === 201) told = id;
        return status;
      },
      async verify() {
        const sql = 'SELECT 1 FROM consent_idempotency WHERE key = $1';
        const made = await rows(ground.world.server, sql, [headers['x-idempotency-key']]);
        if (told === undefined) ground.doneUntold += made.length;
        else expect(made).toHaveLength(1);
        const again = await lodge();
        expect(again.status).toBe(201);
        if (told !== undefined) expect(again.id).toBe(told);
        ground.lodged.add(String(again.id));
      },
    };
  };
}

const lodge = { access: lodgeAccess, payment: lodgePayment };

/** A decision is made with the answer, or not at all, and then the customer decides again. */
function decision(kind: Kind, decide: 'allow' | 'deny'): ConsentFlow {
  return async (ground) => {
    const { tpp, server } = ground.world;
    const id = await lodge[kind](tpp);
    ground.lodged.add(id);
    const more = { scope: `openid ${scopeOf[kind]}` };
    const pageAt = async (at: AuthorizationServer) => {
      const { url } = await intentRequest(tpp, id, more);
      return consentPageOf(at, url, ground.browser.fork(at));
    };
    const { agent: decider, page } = await pageAt(server);
    const fieldsOf = (shown: Page) => ({ ...chooseFirst(shown), decision: decide });
    /** What the customer is shown in the end; who is told to come back later does. */
    async function decideAgain(triesLeft = 3): Promise<string> {
      const { agent, page: again } = await pageAt(server);
      const isAsked = again.html.includes('name="decision"');
      const seen = isAsked ? await agent.submit(again, fieldsOf(again)) : again;
      if (seen.status === 503 && triesLeft > 0) return decideAgain(triesLeft - 1);
      return `${String(seen.status)} ${seen.url} ${seen.html}`;
    }
    const [state, status] =
      decide === 'allow' ? (['authorised', 'AUTH'] as const) : (['rejected', 'RJCT'] as const);
    return {
      async act(at) {
        const answer = await decider.fork(at).submit(page, fieldsOf(page));
        const reached = new URL(answer.url).searchParams;
        return reached.has('code') || reached.get('error') === 'access_denied'
          ? 200
          : answer.status;
      },
      async verify(answered) {
        expect([undefined, 200, 503]).toContain(answered);
        const found = await statusOf(ground, id, kind);
        if (answered === 200) expect(found).toBe(status);
        else if (found === status) ground.doneUntold += 1;
        else {
          expect(found).toBe('AWAU');
          const seen = await decideAgain();
          expect(await statusOf(ground, id, kind), `shown: ${seen}`).toBe(status);
        }
        if (state === 'authorised') ground.authorised[kind].push(id);
        else ground.told.set(id, state);
      },
    };
  };
}

/** An end is an end, whether or not the caller was told; asked for again it is told. */
function ending(
  kind: Kind,
  end: (ground: ConsentGround, id: string, at: AuthorizationServer) => Promise<number>,
): ConsentFlow {
  return async (ground) => {
    const id = ground.authorised[kind].shift();
    if (id === undefined) return decision(kind, 'allow')(ground);
    const [state, status] =
      kind === 'access' ? (['revoked', 'CANC'] as const) : (['consumed', 'COND'] as const);
    return {
      act: (at) => end(ground, id, at),
      async verify(answered) {
        expect([undefined, 200, 204, 503]).toContain(answered);
        const found = await statusOf(ground, id, kind);
        if (answered !== undefined && answered < 300) expect(found).toBe(status);
        else if (found === status) ground.doneUntold += 1;
        else expect(found).toBe('AUTH');
        await end(ground, id, ground.world.server);
        expect(await statusOf(ground, id, kind)).toBe(status);
        ground.told.set(id, state);
      },
    };
  };
}

const revocation = ending('access', async ({ world: { tpp } }, id, at) => {
  const { status } = await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts', at });
  return status;
});

const consumption = ending('payment', async ({ world }, id, at) => {
  const url = `${world.server.issuer}${plainConsents}/${id}/consumption`;
  const response = await at.fetch()(url, {
    method: 'POST',
    headers: { ...basic('bank-rs', world.serverSecret), 'content-type': 'application/json' },
    body: JSON.stringify({ payment_id: `payment-of-${id.slice(-32)}` }),
  });
  await response.arrayBuffer();
  return response.status;
});

/** Every kind of move, one of each column at a time. */
export const consentFlows: readonly (readonly [ConsentFlow, ...ConsentFlow[]])[] = [
  [lodging('access'), lodging('payment')],
  [decision('access', 'allow'), decision('payment', 'allow'), decision('access', 'deny')],
  [revocation, consumption],
];

interface Entry {
  id: string;
  version: number;
  move: string;
  state: string;
  /** What the consent itself says. */
  now: string;
  last: number;
  codes: number;
}

/** Looks through the whole history: no move lost, none doubled, none that can't be, and no token of an ended consent. */
export async function expectHistories({ world, lodged, told }: ConsentGround): Promise<void> {
  const entries = (await rows(
    world.server,
    `SELECT c.id, h.version, h.move, h.state, c.state AS now, c.version AS last,
       (SELECT count(*)::int FROM artifacts WHERE grant_digest = sha256(c.id::bytea)) AS codes
     FROM consents c LEFT JOIN consent_history h ON h.consent_id = c.id ORDER BY c.id, h.version`,
    [],
  )) as unknown as Entry[];
  const histories = Map.groupBy(entries, ({ id }) => id);
  expect(new Set(histories.keys())).toEqual(lodged);
  for (const [id, history] of histories) {
    expect(history.map(({ version }) => version)).toEqual(history.map((_, at) => at + 1));
    expectLegal(history);
    const { now, last, codes } = history.at(-1) ?? { now: '', last: 0, codes: 0 };
    expect([last, history.at(-1)?.state]).toEqual([history.length, now]);
    if (told.has(id)) expect([id, now, codes]).toEqual([id, told.get(id), 0]);
  }
}

function expectLegal(history: readonly Entry[]): void {
  let state = '';
  for (const { move, state: after } of history) {
    const legal =
      state === '' ? { from: '', to: 'awaiting-authorisation' } : consentMoves[move as ConsentMove];
    expect([move, legal.from, legal.to]).toEqual([move, state, after]);
    state = after;
  }
}
