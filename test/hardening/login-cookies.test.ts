import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { changePassword } from '../../src/customers/change-password.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent } from '../support/customer-agent.ts';
import { isIn, loginWorld, newName, newWord, password, wait } from '../support/login-world.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

const { parts, newCustomer, openLogin, attempt } = loginWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;

beforeAll(() => {
  ({ server, beside } = parts());
});

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
      const fields = { username: newName('nobody'), action: 'login' };
      const { status } = await agent.submit(page, { ...fields, password: newWord() });
      if (status === 429) heldUp += 1;
    }
    expect(heldUp).toBeGreaterThan(1);
    expect((await waitsTold()) - before).toBe(1);
  });
});
