import { beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { isIn, loginWorld, newName, newWord, password, wait } from '../support/login-world.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

const { parts, newCustomer, openLogin, attempt } = loginWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;

beforeAll(() => {
  ({ server, beside } = parts());
});

/** Failures on accounts that don't matter, from the one address that all tests have. */
async function stuff(accounts: number, word: () => string): Promise<void> {
  for (let i = 0; i < accounts; i += 1) {
    await attempt(createCustomerAgent(server), newName('listed'), word());
  }
  // It is the other accounts that are looked at here, not the slow-down of the address.
  await stored(server, 'DELETE FROM login_throttles');
}

async function eventsOf(type: string): Promise<{ detail: Record<string, unknown> }[]> {
  await server.running.app.audit.flush();
  return stored(server, `SELECT detail FROM audit_events WHERE type = '${type}' ORDER BY at`);
}

describe('Somebody who guesses', () => {
  it('is slowed down, and the owner in a browser of theirs is not', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    expect(isIn(await attempt(own, username, password))).toBe(true);
    const guesser = createCustomerAgent(server);
    const statuses: number[] = [];
    for (let i = 0; i < 10; i += 1) {
      statuses.push((await attempt(guesser, username, newWord())).status);
    }
    expect(statuses.at(0)).toBe(422);
    expect(statuses.at(-1)).toBe(429);
    const stranger = await attempt(createCustomerAgent(server), username, password);
    expect(stranger.status).toBe(429);
    expect(isIn(await attempt(own, username, password))).toBe(true);
  });

  it('can’t lock a known browser out on another process either', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    for (let i = 0; i < 10; i += 1) await attempt(createCustomerAgent(server), username, newWord());
    expect(isIn(await attempt(own.fork(beside), username, password))).toBe(true);
  });

  it('gains nothing by a browser that is known for another account', async () => {
    const [username, mine] = [await newCustomer(), await newCustomer()];
    const guesser = createCustomerAgent(server);
    await attempt(guesser, mine, password);
    let last = 0;
    for (let i = 0; i < 10; i += 1) last = (await attempt(guesser, username, newWord())).status;
    expect(last).toBe(429);
  });

  it('is slowed down in the owner’s browser as well', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    let last = 0;
    for (let i = 0; i < 10; i += 1) last = (await attempt(own, username, newWord())).status;
    expect(last).toBe(429);
    wait(120);
    expect(isIn(await attempt(own, username, password))).toBe(true);
  });

  it('who makes the cookie up, or changes it, has none', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    for (let i = 0; i < 10; i += 1) await attempt(createCustomerAgent(server), username, newWord());
    const cookie = (await own.jar.getCookies(server.issuer)).find(
      ({ key }) => key === '__Host-device',
    );
    const value = cookie?.value ?? '';
    expect(value).toMatch(/^[\w-]{22}\.[\da-z]{8}\.[\w-]{43}$/);
    const [name = '', issued = '', digest = ''] = value.split('.');
    const later = (Number.parseInt(issued, 36) + 1).toString(36);
    const flipped = value.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')).replace(/^./, 'x');
    for (const forged of [
      flipped,
      value.slice(0, -1),
      `${name}.${later}.${digest}`,
      `${name}.${digest}`,
      `${'a'.repeat(22)}.${'a'.repeat(43)}`,
      '~~~',
      '.',
    ]) {
      const agent = createCustomerAgent(server);
      const terms = '; Path=/; Secure; HttpOnly';
      await agent.jar.setCookie(`__Host-device=${forged}${terms}`, server.issuer);
      expect((await attempt(agent, username, password)).status).toBe(429);
    }
  });
});

describe('A login that succeeds', () => {
  it('forgets the failures before it', async () => {
    const username = await newCustomer();
    const agent = createCustomerAgent(server);
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 4; i += 1) {
        expect((await attempt(agent, username, newWord())).status).toBe(422);
      }
      expect(isIn(await attempt(agent, username, password))).toBe(true);
    }
  });

  it('sets a cookie that says nothing and that no script can read', async () => {
    const username = await newCustomer();
    const agent = createCustomerAgent(server);
    await attempt(agent, username, password);
    const cookies = await agent.jar.getCookies(server.issuer);
    const device = cookies.find(({ key }) => key === '__Host-device');
    expect(device).toMatchObject({ httpOnly: true, secure: true, sameSite: 'lax', path: '/' });
    expect(device?.value).not.toContain(username);
  });
});

describe('Who tries a list', () => {
  it('of many accounts from one address is told of once, and has to take steps', async () => {
    await server.running.app.audit.flush(); // what the tests before have told
    await stored(server, `DELETE FROM audit_events WHERE type LIKE 'authentication.%'`);
    const username = await newCustomer();
    await stuff(11, newWord);
    const agent = createCustomerAgent(server);
    const page = await attempt(agent, username, password);
    expect(page.status).toBe(429);
    expect(page.html).toContain('name="step"');
    expect(Number(page.headers.get('retry-after'))).toBe(5);
    const patternsOf = async (type: string) =>
      (await eventsOf(type)).map(({ detail }) => detail['pattern']);
    // The eleventh account of the list, and this one.
    await expect
      .poll(() => patternsOf('authentication.challenged'))
      .toEqual(['network', 'network']);
    expect(await patternsOf('authentication.suspicious')).toEqual(['network']);
  });

  it('gets in with the right password after the step’s time, and not before', async () => {
    const username = await newCustomer();
    await stuff(11, newWord);
    const agent = createCustomerAgent(server);
    const credentials = { username, password, action: 'login' };
    const challenged = await attempt(agent, username, password);
    const early = await agent.submit(challenged, credentials);
    expect(early.status).toBe(429);
    wait(5);
    expect(isIn(await agent.submit(early, credentials))).toBe(true);
  });

  it('takes a step once, wherever many send it at once, and only where it was given out', async () => {
    const username = await newCustomer();
    await stuff(11, newWord);
    const agent = createCustomerAgent(server);
    const challenged = await attempt(agent, username, newWord());
    wait(5);
    const step = /name="step" value="([^"]+)"/.exec(challenged.html)?.[1] ?? '';
    const elsewhere = createCustomerAgent(server);
    const foreign = await elsewhere.submit(await openLogin(elsewhere), {
      ...{ username, password, action: 'login', step },
    });
    expect(foreign.status).toBe(429);
    const fields = { username, password: newWord(), action: 'login' };
    const pages = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        agent.fork(i % 2 === 0 ? server : beside).submit(challenged, fields),
      ),
    );
    expect(pages.filter(({ status }) => status === 422)).toHaveLength(1);
    expect(pages.filter(({ status }) => status === 429)).toHaveLength(19);
    wait(900);
    expect((await agent.submit(challenged, fields)).status).not.toBe(200);
  });

  it('of accounts can’t wait for one account’s step and take it with another', async () => {
    const [username, victim] = [await newCustomer(), await newCustomer()];
    await stuff(11, newWord);
    const agent = createCustomerAgent(server);
    const challenged = await attempt(agent, username, newWord());
    wait(5);
    const other = await agent.submit(challenged, { username: victim, password, action: 'login' });
    expect({ status: other.status, in: isIn(other) }).toEqual({ status: 429, in: false });
    expect(other.html).toContain('name="step"');
    // The account that it is for takes it, in whichever letters.
    const fields = { username: ` ${username.toUpperCase()} `, password, action: 'login' };
    expect(isIn(await agent.submit(challenged, fields))).toBe(true);
  });

  it('with one password on many accounts, from wherever, has to take steps', async () => {
    const username = await newCustomer();
    const word = newWord();
    await stuff(11, () => word);
    // As if each had come from an address of its own.
    await stored(server, 'DELETE FROM login_patterns WHERE length(pattern_digest) = 32');
    const agent = createCustomerAgent(server);
    const sprayed = await attempt(agent, username, word);
    expect(sprayed.html).toContain('name="step"');
    expect(isIn(await attempt(createCustomerAgent(server), username, password))).toBe(true);
  });

  it('does not hold up a browser that is known', async () => {
    const username = await newCustomer();
    const own = createCustomerAgent(server);
    await attempt(own, username, password);
    await stuff(11, newWord);
    expect(isIn(await attempt(own, username, password))).toBe(true);
  });
});
