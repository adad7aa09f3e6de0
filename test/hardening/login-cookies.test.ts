import type * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { changePassword } from '../../src/customers/change-password.ts';
import { systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

const password = 'a rather long password';

let server: AuthorizationServer;
/** The same installation, in which nothing is remembered of the first one. */
let beside: AuthorizationServer;
let web: openid.Configuration;
let made = 0;

beforeAll(async () => {
  server = await startAuthorizationServer();
  beside = await startAuthorizationServer({ beside: server });
  web = await discoverWeb(server);
});

afterAll(async () => {
  await beside.stop();
  await server.stop();
});

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: systemClock.now().getTime() + 1_000_000 });
  await stored(server, 'DELETE FROM login_throttles');
  await stored(server, 'DELETE FROM login_patterns');
});

function wait(seconds: number): void {
  vi.setSystemTime(systemClock.now().getTime() + seconds * 1000);
}

async function newCustomer(): Promise<string> {
  const username = `customer-${String((made += 1))}`;
  const { customers, passwords } = server.running.app;
  await addCustomer(
    { profile: { username }, password },
    { customers, passwords, clock: systemClock },
  );
  return username;
}

async function openLogin(agent: CustomerAgent): Promise<Page> {
  const scope = 'openid accounts';
  const { url } = await authorizationRequest(web, { redirect_uri: callbacks.web, scope });
  return agent.open(`${url}&prompt=login`);
}

async function attempt(agent: CustomerAgent, username: string, word: string): Promise<Page> {
  return agent.submit(await openLogin(agent), { username, password: word, action: 'login' });
}

/** Arrives at the consent page or at the client. */
const isIn = (page: Page) => !page.html.includes('name="password"');

let words = 0;
const newWord = () => `guess number ${String((words += 1))}`;

/** How often a wait was told of so far. */
async function waitsTold(): Promise<number> {
  await server.running.app.audit.flush();
  const statement = `SELECT 1 FROM audit_events WHERE type = 'authentication.throttled'`;
  return (await stored(server, statement)).length;
}

describe('A browser is known no longer', () => {
  /** As `customers set-password` does. */
  async function setPassword(username: string, word: string): Promise<void> {
    const { customers, passwords } = server.running.app;
    const customer = await customers.findByUsername(username);
    if (customer === undefined) throw new Error('there is no such customer');
    await changePassword(customer, word, { customers, passwords, clock: systemClock });
  }

  async function guessUntilHeldUp(agent: CustomerAgent, username: string): Promise<void> {
    for (let i = 0; i < 10; i += 1) await attempt(agent, username, newWord());
  }

  it('when the password was changed, until the next login', async () => {
    const [username, fresh] = [await newCustomer(), 'quite another pass phrase'];
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    wait(60);
    await setPassword(username, fresh);
    await guessUntilHeldUp(createCustomerAgent(server), username);
    expect((await attempt(own, username, fresh)).status).toBe(429);
    expect((await attempt(own.fork(beside), username, fresh)).status).toBe(429);
    wait(900);
    expect(isIn(await attempt(own, username, fresh))).toBe(true);
    await guessUntilHeldUp(createCustomerAgent(server), username);
    expect(isIn(await attempt(own, username, fresh))).toBe(true);
  });

  it('when the account is gone and somebody else has its name', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    const { customers, passwords } = server.running.app;
    const { id } = (await customers.findByUsername(username)) ?? { id: '' };
    await stored(server, `DELETE FROM customers WHERE id = '${id}'`);
    await guessUntilHeldUp(own, username);
    expect((await attempt(own, username, newWord())).status).toBe(429);
    wait(60);
    const successor = { profile: { username }, password };
    await addCustomer(successor, { customers, passwords, clock: systemClock });
    await stored(server, 'DELETE FROM login_throttles');
    await guessUntilHeldUp(createCustomerAgent(server), username);
    expect((await attempt(own, username, password)).status).toBe(429);
  });

  it('but is while only the hash of the same password is replaced', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    wait(60);
    const { customers, passwords } = server.running.app;
    const { id = '', passwordHash = '' } = (await customers.findByUsername(username)) ?? {};
    await customers.replaceHash(id, { old: passwordHash, new: await passwords.hash(password) });
    await guessUntilHeldUp(createCustomerAgent(server), username);
    expect(isIn(await attempt(own, username, password))).toBe(true);
  });
});

describe('The audit trail', () => {
  it('has one event for a wait, however many don’t wait, and one for the next', async () => {
    const username = await newCustomer();
    const agent = createCustomerAgent(server);
    const before = await waitsTold();
    const told = async () => (await waitsTold()) - before;
    const page = await openLogin(agent);
    const guess = () => agent.submit(page, { username, password: newWord(), action: 'login' });
    for (let i = 0; i < 6; i += 1) await guess();
    for (let i = 0; i < 10; i += 1) expect((await guess()).status).toBe(429);
    expect(await told()).toBe(1);
    wait(60);
    expect((await guess()).status).toBe(422);
    expect((await guess()).status).toBe(429);
    expect(await told()).toBe(2);
  });

  it('has one event for a network that is held up, whichever accounts it tries', async () => {
    const before = await waitsTold();
    const agent = createCustomerAgent(server);
    const page = await openLogin(agent);
    let heldUp = 0;
    for (let i = 0; i < 30; i += 1) {
      await stored(server, 'DELETE FROM login_patterns');
      const fields = { username: `nobody-${String((made += 1))}`, action: 'login' };
      const { status } = await agent.submit(page, { ...fields, password: newWord() });
      if (status === 429) heldUp += 1;
    }
    expect(heldUp).toBeGreaterThan(1);
    expect((await waitsTold()) - before).toBe(1);
  });
});
