import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { authorize } from './journey.ts';
import { oauthClient, tokensOf } from './oauth-client.ts';
import type { OAuthClient, Sender } from './oauth-client.ts';
import { authorizationRequest } from './openid.ts';
import { rows } from './protocol.ts';
import type { Answer } from './protocol.ts';
import type { World } from './crash-world.ts';
import type { AuthorizationServer } from './server.ts';
import { introspect } from './tokens.ts';

/** What a flow's last step came to: an answer, or undefined where the connection broke first. */
export type Outcome<T> = T | undefined;

/** One step that may be interrupted, and what must hold afterwards whatever became of it. */
export interface Step {
  act(at: AuthorizationServer): Promise<unknown>;
  /** Looks through `at`, another process or the one after the crash. */
  verify(outcome: unknown, at: AuthorizationServer): Promise<void>;
}

/** Prepares a step without interruption. */
export type Flow = (world: World) => Promise<Step>;

type Id = keyof World['senders'];

const scope = 'openid accounts';

function step<T>(
  act: (at: AuthorizationServer) => Promise<T>,
  verify: (outcome: Outcome<T>, at: AuthorizationServer) => Promise<void>,
): Step {
  return { act, verify: (outcome, at) => verify(outcome as Outcome<T>, at) };
}

/** Only what was certainly refused for now or done may be said: 503 where the database is away, never a 500. */
function expectClean({ status }: { status: number }): void {
  expect([200, 303, 400, 409, 503]).toContain(status);
}

function isTold(answer: Outcome<Answer>): answer is Answer {
  if (answer !== undefined) expectClean(answer);
  return answer?.status === 200;
}

function expectRefused(answer: Answer): void {
  expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_grant']);
}

function newCode({ steady, senders, configurations }: World, id: Id) {
  const parameters = { redirect_uri: senders[id].redirectUri, scope };
  return authorize(steady, configurations[id], { parameters });
}

async function newTokens(world: World, id: Id) {
  const client = oauthClient(world.steady, world.senders[id]);
  return { client, ...tokensOf(await client.exchange(await newCode(world, id))) };
}

interface Stored {
  kind: string;
  used: boolean;
  grant: string;
}

/** The row of an artifact, and how many refresh tokens its grant has. */
async function storedOf(at: AuthorizationServer, kind: string, id: string) {
  const digest = createHash('sha256').update(id).digest();
  const [row] = (await rows(
    at,
    `SELECT kind, consumed_at IS NOT NULL AS used, encode(grant_digest, 'hex') AS grant
     FROM artifacts WHERE kind = $1 AND id_digest = $2`,
    [kind, digest],
  )) as unknown as Stored[];
  if (row === undefined) return undefined;
  const tokens = await rows(
    at,
    `SELECT 1 FROM artifacts WHERE kind = 'RefreshToken' AND grant_digest = decode($1, 'hex')`,
    [row.grant],
  );
  return { ...row, refreshTokens: tokens.length };
}

async function isActive(at: AuthorizationServer, token: string): Promise<boolean> {
  return (await introspect(at, token)).body['active'] === true;
}

/** A code is used up together with the storing of what it gives, and gives it once. */
function codeExchange(id: Id): Flow {
  return async (world) => {
    const authorization = await newCode(world, id);
    const sender = world.senders[id];
    return step(
      (at) => oauthClient(at, sender).exchange(authorization),
      async (answer, at) => {
        const client = oauthClient(at, sender);
        const stored = await storedOf(at, 'AuthorizationCode', authorization.code);
        expect(stored?.refreshTokens).toBe(stored?.used === true ? 1 : 0);
        if (isTold(answer)) {
          await expectLiving(world, { at, sender, answer });
          return;
        }
        const again = await client.exchange(authorization);
        if (stored?.used === true) world.doneUntold += 1;
        if (stored?.used === true) expectRefused(again);
        else await expectLiving(world, { at, sender, answer: again });
      },
    );
  };
}

/** Tokens that a client was told work; a client that can keep its refresh token goes on to the end. */
async function expectLiving(
  world: World,
  { at, sender, answer }: { at: AuthorizationServer; sender: Sender; answer: Answer },
): Promise<void> {
  const { access, refresh } = tokensOf(answer);
  expect(await isActive(at, access)).toBe(true);
  world.told.alive.push({ sender, refresh });
}

/** A rotation used the old token up and stored the new one, or did neither. */
const rotatingRefresh: Flow = async (world) => {
  const { refresh } = await newTokens(world, 'spa');
  const sender = world.senders.spa;
  return step(
    (at) => oauthClient(at, sender).refresh(refresh),
    async (answer, at) => {
      const stored = await storedOf(at, 'RefreshToken', refresh);
      expect(stored?.refreshTokens).toBe(stored?.used === true ? 2 : 1);
      if (isTold(answer)) {
        expect(stored?.used).toBe(true);
        await expectLiving(world, { at, sender, answer });
        return;
      }
      // A client that can't prove to be the sender of the first attempt gets no second answer.
      const again = await oauthClient(at, sender).refresh(refresh);
      if (stored?.used === true) world.doneUntold += 1;
      if (stored?.used === true) expectRefused(again);
      else await expectLiving(world, { at, sender, answer: again });
    },
  );
};

/** A client that proves to be the same sender never loses its tokens to a crash: its retry is answered. */
const retriedRefresh: Flow = async (world) => {
  const { refresh } = await newTokens(world, 'bound');
  const sender = world.senders.bound;
  return step(
    (at) => oauthClient(at, sender).refresh(refresh),
    async (answer, at) => {
      const again = await oauthClient(at, sender).refresh(refresh);
      expect([again.status, again.text]).toEqual([200, isTold(answer) ? answer.text : again.text]);
      await expectLiving(world, { at, sender, answer: again });
    },
  );
};

/** A refresh token that does not rotate is as good afterwards as before. */
const keptRefresh: Flow = async (world) => {
  const { refresh } = await newTokens(world, 'web');
  const sender = world.senders.web;
  return step(
    (at) => oauthClient(at, sender).refresh(refresh),
    async (answer, at) => {
      if (isTold(answer)) expect(await isActive(at, tokensOf(answer).access)).toBe(true);
      const again = await oauthClient(at, sender).refresh(refresh);
      await expectLiving(world, { at, sender, answer: again });
    },
  );
};

/** A revocation is done when it was answered or is asked for again, and all of it. */
function revocation(id: Id): Flow {
  return async (world) => {
    const { access, refresh } = await newTokens(world, id);
    const sender = world.senders[id];
    return step(
      (at) => oauthClient(at, sender).revoke(refresh),
      async (answer, at) => {
        const client: OAuthClient = oauthClient(at, sender);
        if (!isTold(answer)) expect(await client.revoke(refresh)).toMatchObject({ status: 200 });
        expectRefused(await client.refresh(refresh));
        expect(await isActive(at, access)).toBe(false);
        world.told.dead.push({ sender, refresh });
      },
    );
  };
}

async function begin(world: World, agent: CustomerAgent): Promise<Page> {
  return agent.open(await requestUrl(world));
}

async function requestUrl({ configurations, senders }: World): Promise<string> {
  const parameters = { redirect_uri: senders.web.redirectUri, scope };
  return (await authorizationRequest(configurations.web, parameters)).url;
}

const isLogin = ({ html }: Page) => html.includes('name="password"');
const isConsent = ({ html }: Page) => html.includes('value="allow"');

function expectPage(page: Page): void {
  expectClean(page);
  if (page.html !== '') expect(page.html).toContain('<html lang="en"');
}

function credentials({ steady: { customer } }: World): Record<string, string> {
  return { username: customer.username, password: customer.password, action: 'login' };
}

/** The browser as it stands after the crash always gets to the client by opening the request again. */
async function expectWayOn(world: World, agent: CustomerAgent): Promise<void> {
  const callback = await agent.authorize(await requestUrl(world));
  expect(callback.searchParams.has('code')).toBe(true);
}

const authorization: Flow = async (world) => {
  const agent = createCustomerAgent(world.steady);
  const url = await requestUrl(world);
  let tab = agent;
  return step(
    (at) => {
      tab = agent.fork(at);
      return tab.open(url);
    },
    async (page, at) => {
      const survivor = tab.fork(at);
      if (page !== undefined && page.status !== 503) {
        expect(isLogin(page)).toBe(true);
        expect(isConsent(await survivor.submit(page, credentials(world)))).toBe(true);
      }
      await expectWayOn(world, survivor);
    },
  );
};

const login: Flow = async (world) => {
  const agent = createCustomerAgent(world.steady);
  const form = await begin(world, agent);
  let tab = agent;
  return step(
    (at) => {
      tab = agent.fork(at);
      return tab.submit(form, credentials(world));
    },
    async (page, at) => {
      const survivor = tab.fork(at);
      if (page !== undefined && page.status !== 503) expect(isConsent(page)).toBe(true);
      else expectPage(await survivor.submit(form, credentials(world)));
      await expectWayOn(world, survivor);
    },
  );
};

const consent: Flow = async (world) => {
  const agent = createCustomerAgent(world.steady);
  const form = await agent.submit(await begin(world, agent), credentials(world));
  let tab = agent;
  return step(
    (at) => {
      tab = agent.fork(at);
      return tab.submit(form, { decision: 'allow' });
    },
    async (page, at) => {
      const survivor = tab.fork(at);
      if (page !== undefined && page.status !== 503) {
        const code = new URL(page.url).searchParams.get('code') ?? '';
        expect((await storedOf(at, 'AuthorizationCode', code))?.used).toBe(false);
      } else expectPage(await survivor.submit(form, { decision: 'allow' }));
      await expectWayOn(world, survivor);
    },
  );
};

/** Every flow by its name. */
export const crashFlows: readonly [string, Flow][] = [
  ['authorization', authorization],
  ['login', login],
  ['consent', consent],
  ['code exchange', codeExchange('web')],
  ['code exchange without a secret', codeExchange('spa')],
  ['rotating refresh', rotatingRefresh],
  ['retried refresh', retriedRefresh],
  ['kept refresh', keptRefresh],
  ['revocation', revocation('web')],
  ['revocation without a secret', revocation('spa')],
];

/** The last look: what was told is still so. Tokens that rotate are used up by it. */
export async function expectTold({ told }: World, at: AuthorizationServer): Promise<void> {
  for (const { sender, refresh } of told.alive) {
    expect(await oauthClient(at, sender).refresh(refresh)).toMatchObject({ status: 200 });
  }
  for (const { sender, refresh } of told.dead) {
    expectRefused(await oauthClient(at, sender).refresh(refresh));
  }
}
