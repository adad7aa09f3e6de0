import type * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { callbacks, discoverWeb } from './journey.ts';
import { authorizationRequest } from './openid.ts';
import { startAuthorizationServer } from './server.ts';
import type { AuthorizationServer } from './server.ts';
import { stored } from './stored.ts';

/** Of every customer of a {@link loginWorld}. */
export const password = 'a rather long password';

/** Two processes for a test file about logins, whose clock the tests set; no failures count from one test to the next. */
export interface LoginWorld {
  server: AuthorizationServer;
  /** The same installation, in which nothing is remembered of the first one. */
  beside: AuthorizationServer;
}

/** The last of the customers and guesses that were made. */
let made = 0;

/** A user name that nobody has had. */
export const newName = (kind: string) => `${kind}-${String((made += 1))}`;

/** A password that is nobody's. */
export const newWord = () => `guess number ${String((made += 1))}`;

/** So many seconds later. */
export function wait(seconds: number): void {
  vi.setSystemTime(systemClock.now().getTime() + seconds * 1000);
}

/** Arrives at the consent page or at the client. */
export const isIn = (page: Page) => !page.html.includes('name="password"');

/** To be called once in a file; the rest is there within tests. */
export function loginWorld() {
  let world: LoginWorld | undefined;
  let web: openid.Configuration | undefined;
  const parts = (): LoginWorld => {
    if (world === undefined) throw new Error('only within a test');
    return world;
  };

  beforeAll(async () => {
    const server = await startAuthorizationServer();
    world = { server, beside: await startAuthorizationServer({ beside: server }) };
    web = await discoverWeb(server);
  });

  afterAll(async () => {
    const { server, beside } = parts();
    await beside.stop();
    await server.stop();
  });

  beforeEach(async () => {
    const { server } = parts();
    vi.useFakeTimers({ toFake: ['Date'], now: systemClock.now().getTime() + 1_000_000 });
    await stored(server, 'DELETE FROM login_throttles');
    await stored(server, 'DELETE FROM login_patterns');
  });

  async function openLogin(agent: CustomerAgent): Promise<Page> {
    if (web === undefined) throw new Error('only within a test');
    const scope = 'openid accounts';
    const { url } = await authorizationRequest(web, { redirect_uri: callbacks.web, scope });
    return agent.open(`${url}&prompt=login`);
  }

  async function newCustomer(): Promise<string> {
    const username = newName('customer');
    const { customers, passwords } = parts().server.running.app;
    await addCustomer(
      { profile: { username }, password },
      { customers, passwords, clock: systemClock },
    );
    return username;
  }

  async function attempt(agent: CustomerAgent, username: string, word: string): Promise<Page> {
    return agent.submit(await openLogin(agent), { username, password: word, action: 'login' });
  }

  return { parts, newCustomer, openLogin, attempt };
}
