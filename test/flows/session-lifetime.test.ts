import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
/** Minutes pass only when the test says so. */
let now = Date.now();

beforeAll(async () => {
  server = await startAuthorizationServer({ clock: { now: () => new Date(now) } });
});

afterAll(() => server.stop());

async function sessionEnd(): Promise<number> {
  const rows = await stored<{ end: Date }>(
    server,
    `SELECT expires_at AS end FROM artifacts WHERE kind = 'Session' AND customer_id IS NOT NULL`,
  );
  expect(rows).toHaveLength(1);
  return rows[0]?.end.getTime() ?? 0;
}

it('A session ends an hour after the login, however often it was used in between', async () => {
  const web = await discoverWeb(server);
  const agent = createCustomerAgent(server);
  const authorize = async () => {
    const parameters = { redirect_uri: callbacks.web, scope: 'openid accounts' };
    return agent.authorize((await authorizationRequest(web, parameters)).url);
  };
  const start = now;
  await authorize();
  now += 50 * 60_000;
  await authorize();
  expect(Math.abs((await sessionEnd()) - start - 3_600_000)).toBeLessThan(30_000);
});
