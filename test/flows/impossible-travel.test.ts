import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { addressIn, citiesFile } from '../support/cities.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

const password = 'a rather long password';
const proxySecret = randomBytes(32).toString('base64url');
/** A proxy on this machine tells where requests come from. */
const behindProxy = {
  COUNTERSIGN_PROXY_ADDRESS_HEADER: 'x-forwarded-for',
  COUNTERSIGN_PROXY_NETWORKS: '127.0.0.1/32',
  COUNTERSIGN_PROXY_SECRETS: proxySecret,
};
const nowhere = '203.0.113.9';

let folder: TemporaryDirectory;
let server: AuthorizationServer;
/** The same installation without a database of places. */
let placeless: AuthorizationServer;
let web: openid.Configuration;
let customer: { id: string; username: string };
let made = 0;

beforeAll(async () => {
  folder = await temporaryDirectory();
  const file = path.join(folder.path, 'cities.mmdb');
  await writeFile(file, citiesFile());
  const environment = { ...behindProxy, COUNTERSIGN_GEOIP_DATABASE_FILE: file };
  server = await startAuthorizationServer({ environment });
  placeless = await startAuthorizationServer({ environment: behindProxy, beside: server });
  web = await discoverWeb(server);
});

afterAll(async () => {
  await placeless.stop();
  await server.stop();
  await folder.remove();
});

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: systemClock.now().getTime() + 1_000_000 });
  await stored(server, 'DELETE FROM login_throttles');
  await stored(server, 'DELETE FROM login_patterns');
  customer = await newCustomer();
});

afterEach(() => {
  vi.useRealTimers();
});

function wait(seconds: number): void {
  vi.setSystemTime(systemClock.now().getTime() + seconds * 1000);
}

async function newCustomer(): Promise<{ id: string; username: string }> {
  const username = `customer-${String((made += 1))}`;
  const { customers, passwords } = server.running.app;
  const parts = { customers, passwords, clock: systemClock };
  return { ...(await addCustomer({ profile: { username }, password }, parts)), username };
}

/** A browser without script: new, unless it is one that was somewhere before. */
function browser(address: string, before?: CustomerAgent, at = server): CustomerAgent {
  const plain = at.fetch();
  const told = { 'countersign-proxy-secret': proxySecret, 'x-forwarded-for': address };
  const there = ((url: string, init: RequestInit = {}) =>
    plain(url, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), ...told },
    })) as typeof fetch;
  return createCustomerAgent({ ...at, fetch: () => there }, before?.jar);
}

async function logIn(agent: CustomerAgent, word = password, name = customer.username) {
  const parameters = { redirect_uri: callbacks.web, scope: 'openid accounts' };
  const { url } = await authorizationRequest(web, parameters);
  const page = await agent.open(`${url}&prompt=login`);
  return agent.submit(page, { username: name, password: word, action: 'login' });
}

/** Logs in where nothing is in the way. */
async function arrive(agent: CustomerAgent): Promise<CustomerAgent> {
  expect(outcomeOf(await logIn(agent))).toBe('in');
  return agent;
}

const again = (agent: CustomerAgent, page: Page) =>
  agent.submit(page, { username: customer.username, password, action: 'login' });

function outcomeOf({ status, html }: Page): string {
  if (!html.includes('name="password"')) return status < 400 ? 'in' : String(status);
  return html.includes('name="step"') ? 'step' : String(status);
}

interface Event {
  type: string;
  outcome: string;
  detail: Record<string, unknown> | null;
}

/** What the audit trail tells of the customer's logins, in order. */
async function told(): Promise<Event[]> {
  await Promise.all([server, placeless].map(({ running }) => running.app.audit.flush()));
  return stored<Event>(
    server,
    `SELECT type, outcome, detail FROM audit_events WHERE customer_id = '${customer.id}'
      AND type IN ('authentication.suspicious', 'authentication.challenged', 'authentication.new_device')
      ORDER BY at, id`,
  );
}

const typesTold = async () => (await told()).map(({ type }) => type.replace('authentication.', ''));

const isKept = async () =>
  (await stored(server, `SELECT 1 FROM customer_places WHERE customer_id = '${customer.id}'`))
    .length === 1;

describe('A login from where nobody comes so soon', () => {
  it('takes a step in a new browser, and its place is the last one then', async () => {
    await arrive(browser(addressIn.berlin));
    wait(3600);
    const far = browser(addressIn.sydney);
    const page = await logIn(far);
    expect({ outcome: outcomeOf(page), status: page.status }).toEqual({
      ...{ outcome: 'step', status: 429 },
    });
    expect(outcomeOf(await again(far, page))).toBe('step'); // too early
    wait(5);
    expect(outcomeOf(await again(far, page))).toBe('in');
    expect(outcomeOf(await logIn(browser(addressIn.sydney)))).toBe('in');
    expect(outcomeOf(await logIn(browser(addressIn.newYork)))).toBe('step');
  });

  it('is told of, refused and let in once each and roughly, with the step and the new browser', async () => {
    await arrive(browser(addressIn.berlin));
    wait(3600);
    const far = browser(addressIn.sydney);
    const page = await logIn(far);
    wait(5);
    await again(far, page);
    const [first, ...events] = await told();
    expect(first).toMatchObject({ type: 'authentication.new_device', outcome: 'success' });
    expect(events).toEqual([
      {
        ...{ type: 'authentication.suspicious', outcome: 'refused' },
        // Less what the two places may err by.
        detail: { pattern: 'impossible_travel', km: 16_000, kmPerHour: 16_000 },
      },
      {
        ...{ type: 'authentication.challenged', outcome: 'refused' },
        detail: { pattern: 'impossible_travel', waitSeconds: 5 },
      },
      {
        ...{ type: 'authentication.suspicious', outcome: 'success' }, // once the step was taken
        detail: { pattern: 'impossible_travel', km: 16_000, kmPerHour: 16_000 },
      },
      expect.objectContaining({ type: 'authentication.new_device', outcome: 'success' }),
    ]);
  });

  it('is told of and goes through in a browser that is known', async () => {
    const own = await arrive(browser(addressIn.berlin));
    expect(outcomeOf(await logIn(browser(addressIn.sydney, own)))).toBe('in');
    expect(await typesTold()).toEqual(['new_device', 'suspicious']);
    expect((await told()).at(-1)).toMatchObject({
      ...{ outcome: 'success', detail: { pattern: 'impossible_travel' } },
    });
    expect(outcomeOf(await logIn(browser(addressIn.sydney)))).toBe('in');
  });

  it('is told of once while it is refused, and once more when it is let in', async () => {
    const own = await arrive(browser(addressIn.berlin));
    for (let i = 0; i < 3; i += 1) await logIn(browser(addressIn.sydney));
    const outcomes = async () =>
      (await told())
        .filter(({ type }) => type === 'authentication.suspicious')
        .map(({ outcome }) => outcome);
    expect(await outcomes()).toEqual(['refused']);
    await arrive(browser(addressIn.sydney, own));
    expect(await outcomes()).toEqual(['refused', 'success']);
  });

  it('counts right passwords as no failures, however many', async () => {
    await arrive(browser(addressIn.berlin));
    for (let i = 0; i < 8; i += 1) {
      expect(outcomeOf(await logIn(browser(addressIn.sydney)))).toBe('step');
    }
    const failures = 'SELECT coalesce(sum(failures), 0)::int AS n FROM login_throttles';
    expect(await stored(server, failures)).toEqual([{ n: 0 }]);
  });

  it('takes one step where a list is tried as well', async () => {
    await arrive(browser(addressIn.berlin));
    for (let i = 0; i < 11; i += 1) {
      await logIn(browser(addressIn.sydney), `guess ${String(i)}`, `listed-${String(i)}`);
    }
    await stored(server, 'DELETE FROM login_throttles');
    const far = browser(addressIn.sydney);
    const page = await logIn(far);
    expect(outcomeOf(page)).toBe('step');
    wait(5);
    expect(outcomeOf(await again(far, page))).toBe('in');
    expect(await typesTold()).toEqual(['new_device', 'suspicious', 'new_device']);
  });
});

describe('Who guesses from far away', () => {
  it('reads the same of a customer, of nobody, and of somebody nearby', async () => {
    await arrive(browser(addressIn.berlin));
    const { username } = customer;
    const pages = [
      await logIn(browser(addressIn.sydney), 'not the password'),
      await logIn(browser(addressIn.sydney), 'not the password', 'nobody'),
      await logIn(browser(addressIn.potsdam), 'not the password'),
    ];
    const [far, nobody, near] = pages.map(({ status, html }) => ({
      ...{ status, html: html.replaceAll(username, 'nobody') },
      ...{ html: comparable(html.replaceAll(username, 'nobody')) },
    }));
    expect(far?.status).toBe(422);
    expect(nobody).toEqual(far);
    expect(near).toEqual(far);
    expect(await typesTold()).toEqual(['new_device']);
  });

  it('reads the same of a customer who is suspended, whose password is right', async () => {
    await arrive(browser(addressIn.berlin));
    await server.running.app.customers.setStatus(customer.id, 'suspended');
    expect(outcomeOf(await logIn(browser(addressIn.sydney)))).toBe('422');
  });
});

/** Without what is of each form. */
function comparable(html: string): string {
  return html
    .replaceAll(/name="(?:csrf|xsrf)" value="[^"]*"/g, 'TOKEN')
    .replaceAll(/\/interaction\/[\w-]+/g, '/interaction/UID');
}

describe('A login goes on', () => {
  it.each([
    ['nearby at once', addressIn.potsdam, 0],
    ['far away after the time that an airliner takes', addressIn.newYork, 8 * 3600],
    ['from where nobody knows', nowhere, 0],
  ])('%s', async (_what, address, seconds) => {
    await arrive(browser(addressIn.berlin));
    wait(seconds);
    await arrive(browser(address));
    expect(await typesTold()).toEqual(['new_device', 'new_device']);
  });

  it('and an address that nobody can place changes nothing of what is known', async () => {
    await arrive(browser(nowhere));
    expect(await isKept()).toBe(false);
    await arrive(browser(addressIn.berlin));
    await arrive(browser(nowhere));
    expect(outcomeOf(await logIn(browser(addressIn.sydney)))).toBe('step');
  });

  it('also when many log in at once, from everywhere', async () => {
    const own: CustomerAgent[] = [];
    for (let i = 0; i < 8; i += 1) own.push(await arrive(browser(addressIn.berlin)));
    const addresses = Object.values(addressIn);
    const pages = await Promise.all(
      own.map((agent, i) => logIn(browser(addresses[i % addresses.length] ?? nowhere, agent))),
    );
    expect(pages.map(outcomeOf)).toEqual(pages.map(() => 'in'));
    expect(await isKept()).toBe(true);
  });

  it('when the last place can’t be opened, of which the log says so, and it is replaced', async () => {
    await arrive(browser(addressIn.berlin));
    const spoil = `UPDATE customer_places SET place = '\\x00ff00ff' WHERE customer_id = '${customer.id}'`;
    await stored(server, spoil);
    await arrive(browser(addressIn.sydney));
    expect(await server.log.raw()).toContain("Where a customer last logged in can't be opened");
    expect(outcomeOf(await logIn(browser(addressIn.berlin)))).toBe('step');
  });

  it('without a database of places, and nothing is kept or judged', async () => {
    await arrive(browser(addressIn.berlin, undefined, placeless));
    expect(await isKept()).toBe(false);
    await arrive(browser(addressIn.sydney, undefined, placeless));
    expect(await typesTold()).toEqual(['new_device', 'new_device']);
  });
});

describe('A login is not done', () => {
  it('while it can’t be known where the customer was: the step may be due', async () => {
    await arrive(browser(addressIn.berlin));
    await stored(server, 'ALTER TABLE customer_places RENAME TO places_away');
    const page = await logIn(browser(addressIn.sydney)).finally(() =>
      stored(server, 'ALTER TABLE places_away RENAME TO customer_places'),
    );
    expect(page.status).toBeGreaterThanOrEqual(500);
    expect(outcomeOf(await logIn(browser(addressIn.sydney)))).toBe('step');
  });
});

describe('A browser', () => {
  it('is new to a customer until they have logged in with it', async () => {
    const own = await arrive(browser(addressIn.berlin));
    await arrive(own);
    expect(await typesTold()).toEqual(['new_device']);
    const theirs = customer;
    customer = await newCustomer();
    await arrive(own);
    expect(await typesTold()).toEqual(['new_device']);
    customer = theirs;
    await arrive(own);
    expect(await typesTold()).toEqual(['new_device']);
  });

  it('is not told of as new while the password is wrong', async () => {
    await logIn(browser(addressIn.berlin), 'not the password');
    expect(await typesTold()).toEqual([]);
  });
});
