import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { createCustomerStore } from '../../src/customers/customer-store.ts';
import type { CustomerStore } from '../../src/customers/customer-store.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { createLoginThrottle } from '../../src/customers/login-throttle-store.ts';
import { accountRule, addressRule, sourceRule } from '../../src/customers/login-throttle.ts';
import { atOnce, storeGround, values } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let customers: CustomerStore;

beforeAll(async () => {
  ground = await storeGround();
  customers = createCustomerStore(ground);
});

afterAll(() => ground.close());

function newCustomer(username: string = randomUUID()): Customer {
  return {
    id: randomUUID(),
    profile: { username, name: 'Casey Miller', email: 'casey@bank.example' },
    passwordHash: '$argon2id$one',
    passwordChangedAt: new Date('2026-01-01T00:00:00Z'),
    status: 'active',
  };
}

describe('A customer', () => {
  it('is found as it was, by id and by user name in any letters', async () => {
    const customer = newCustomer('Casey.Ünal');
    await customers.insert(customer);
    expect(await customers.find(customer.id)).toEqual(customer);
    expect(await customers.findByUsername(' CASEY.u\u0308NAL ')).toEqual(customer);
    expect(await customers.list()).toContainEqual(customer);
  });

  it('is not found where there is none, whatever is asked', async () => {
    for (const id of [randomUUID(), '', 'nonsense', "' OR 1=1"]) {
      expect(await customers.find(id)).toBeUndefined();
      expect(await customers.findByUsername(id)).toBeUndefined();
    }
  });

  it('has a user name that nobody else has, also when many are added at once', async () => {
    const name = randomUUID();
    const letters = [name, name.toUpperCase()];
    const results = await atOnce(20, [0, 1], (i) => customers.insert(newCustomer(letters[i])));
    expect(values(results)).toHaveLength(1);
    const [refused] = results.filter(({ status }) => status === 'rejected');
    expect(refused).toMatchObject({ reason: { code: 'customer_exists' } });
  });

  it('can’t be read out of the table', async () => {
    await customers.insert(newCustomer('readable-name'));
    const rows = JSON.stringify(await ground.prisma.$queryRaw`SELECT c::text FROM customers c`);
    for (const text of ['readable-name', 'Casey Miller', 'casey@bank.example']) {
      expect(rows).not.toContain(text);
      expect(rows).not.toContain(Buffer.from(text).toString('hex'));
    }
  });

  it('can’t have the profile of another', async () => {
    const [one, two] = [newCustomer(), newCustomer()];
    await customers.insert(one);
    await customers.insert(two);
    await ground.prisma.$executeRaw`UPDATE customers SET profile =
      (SELECT profile FROM customers WHERE id = ${one.id}::uuid) WHERE id = ${two.id}::uuid`;
    await expect(customers.find(two.id)).rejects.toThrow();
    await ground.prisma.customer.delete({ where: { id: two.id } });
  });
});

describe('A password hash', () => {
  it('is replaced, but not when the password was changed meanwhile', async () => {
    const customer = newCustomer();
    await customers.insert(customer);
    const { id } = customer;
    await customers.replaceHash(id, { old: '$argon2id$one', new: '$argon2id$two' });
    expect(await customers.find(id)).toMatchObject({ passwordHash: '$argon2id$two' });
    const changedAt = new Date('2026-02-01T00:00:00Z');
    await customers.setPassword(id, { hash: '$argon2id$new', changedAt });
    await customers.replaceHash(id, { old: '$argon2id$two', new: '$argon2id$late' });
    expect(await customers.find(id)).toMatchObject({
      passwordHash: '$argon2id$new',
      passwordChangedAt: changedAt,
    });
  });

  it('of nobody can’t be changed', async () => {
    const change = { hash: 'x', changedAt: new Date(0) };
    const missing = { code: 'customer_not_found' };
    await expect(customers.setPassword(randomUUID(), change)).rejects.toMatchObject(missing);
    await expect(customers.setStatus(randomUUID(), 'suspended')).rejects.toMatchObject(missing);
  });
});

describe('The end of all sessions', () => {
  it('is that of one customer’s', async () => {
    const [mine, another] = [randomUUID(), randomUUID()];
    for (const [index, customerId] of [mine, mine, another].entries()) {
      const bytes = new Uint8Array(Buffer.from(`${customerId}${String(index)}`));
      const data = { kind: 'Session', idDigest: bytes, payload: bytes, customerId };
      await ground.prisma.artifact.create({ data });
    }
    await customers.endSessions(mine);
    const left = await ground.prisma.artifact.findMany({ where: { kind: 'Session' } });
    expect(left.map(({ customerId }) => customerId)).toEqual([another]);
  });
});

describe('The login throttle', () => {
  /** A throttle on two processes, with a clock that the test moves. */
  function newThrottle() {
    let now = new Date('2026-01-01T00:00:00Z');
    const clock: Clock = { now: () => now };
    const create = (prisma: StoreGround['prisma']) =>
      createLoginThrottle({ ...ground, prisma, clock });
    return {
      processes: [create(ground.prisma), create(ground.other)] as const,
      wait: (seconds: number) => {
        now = new Date(now.getTime() + seconds * 1000);
      },
    };
  }

  let lastAddress = 0;
  const newAttempt = () => ({
    username: randomUUID(),
    address: `192.0.2.${String((lastAddress += 1))}`,
  });

  it('lets some failures pass, then makes wait, longer each time, up to a bound', async () => {
    const { processes, wait } = newThrottle();
    const [throttle] = processes;
    const attempt = newAttempt();
    for (let i = 0; i <= sourceRule.freeFailures; i += 1) {
      expect(await throttle.reserve(attempt)).toBe(0);
    }
    const waits: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      const seconds = await throttle.reserve(attempt);
      waits.push(seconds);
      wait(seconds);
      expect(await throttle.reserve(attempt)).toBe(0);
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('does not hold up the owner elsewhere while somebody guesses from a few networks', async () => {
    const { processes } = newThrottle();
    const [throttle] = processes;
    const { username } = newAttempt();
    for (const address of ['198.51.100.1', '198.51.100.2', '198.51.100.3']) {
      for (let i = 0; i < 20; i += 1) await throttle.reserve({ username, address });
    }
    expect(await throttle.reserve({ username, address: '203.0.113.1' })).toBe(0);
  });

  it('slows an account down for everybody when very many networks guess', async () => {
    const { processes } = newThrottle();
    const { username } = newAttempt();
    const attempts = Array.from({ length: 130 }, (_, i) => ({
      username,
      address: `198.51.${String(100 + Math.floor(i / 50))}.${String(i % 50)}`,
    }));
    const [throttle] = processes;
    const waits: number[] = [];
    for (const attempt of attempts) waits.push(await throttle.reserve(attempt));
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(accountRule.freeFailures + 1);
  });

  it('does not count a success against a network, nor let it hold the next one up', async () => {
    const { processes, wait } = newThrottle();
    const [throttle] = processes;
    const { address } = newAttempt();
    for (let i = 0; i <= addressRule.freeFailures; i += 1) {
      await throttle.reserve({ username: randomUUID(), address });
    }
    wait(addressRule.firstDelaySeconds);
    for (let i = 0; i < 5; i += 1) {
      const attempt = { username: randomUUID(), address };
      expect(await throttle.reserve(attempt)).toBe(0);
      await throttle.succeeded(attempt);
    }
  });

  it('forgets a network’s failures after its time, however busy it is', async () => {
    const { processes, wait } = newThrottle();
    const [throttle] = processes;
    const { address } = newAttempt();
    const fail = () => throttle.reserve({ username: randomUUID(), address });
    for (let i = 0; i <= addressRule.freeFailures; i += 1) await fail();
    wait(addressRule.memorySeconds - 1);
    await fail();
    wait(1);
    expect([await fail(), await fail(), await fail()]).toEqual([0, 0, 0]);
  });

  it('does not prolong the wait of who does not wait', async () => {
    const { processes, wait } = newThrottle();
    const attempt = newAttempt();
    await atOnce(30, [...processes], (throttle) => throttle.reserve(attempt));
    wait(sourceRule.firstDelaySeconds);
    const [throttle] = processes;
    expect(await throttle.reserve(attempt)).toBe(0);
  });

  it('lets no more pass when fifty come at once on two processes', async () => {
    const { processes } = newThrottle();
    const attempt = newAttempt();
    const waits = values(await atOnce(50, [...processes], (throttle) => throttle.reserve(attempt)));
    expect(waits).toHaveLength(50);
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(sourceRule.freeFailures + 1);
  });

  it('counts an address for all accounts together', async () => {
    const { processes } = newThrottle();
    const { address } = newAttempt();
    const waits = values(
      await atOnce(50, [...processes], (throttle) =>
        throttle.reserve({ username: randomUUID(), address }),
      ),
    );
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(addressRule.freeFailures + 1);
    const [throttle] = processes;
    expect(await throttle.reserve(newAttempt())).toBe(0);
  });

  it('takes the same account for the same, in any letters', async () => {
    const { processes } = newThrottle();
    const [throttle] = processes;
    const name = randomUUID();
    const { address } = newAttempt();
    for (let i = 0; i <= sourceRule.freeFailures; i += 1) {
      const username = i % 2 === 0 ? name : ` ${name.toUpperCase()}`;
      await throttle.reserve({ username, address });
    }
    expect(await throttle.reserve({ username: name, address })).toBeGreaterThan(0);
  });

  it('forgets the account’s failures with a success, and all with time', async () => {
    const { processes, wait } = newThrottle();
    const [throttle] = processes;
    const attempt = newAttempt();
    for (let i = 0; i < sourceRule.freeFailures; i += 1) await throttle.reserve(attempt);
    await throttle.succeeded(attempt);
    expect(await throttle.reserve(attempt)).toBe(0);
    expect(await throttle.reserve(attempt)).toBe(0);
    for (let i = 0; i < sourceRule.freeFailures; i += 1) await throttle.reserve(attempt);
    expect(await throttle.reserve(attempt)).toBeGreaterThan(0);
    wait(sourceRule.memorySeconds);
    expect(await throttle.reserve(attempt)).toBe(0);
  });
});
