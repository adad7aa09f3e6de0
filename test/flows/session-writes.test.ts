import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

it('An authorization that changes nothing of its session writes nothing of it', async () => {
  const web = await discoverWeb(server);
  const agent = createCustomerAgent(server);
  const authorize = async (scope: string) => {
    const parameters = { redirect_uri: callbacks.web, scope };
    return agent.authorize((await authorizationRequest(web, parameters)).url);
  };
  // Every write of a row gives it another xmin.
  const versions = () =>
    stored(server, `SELECT xmin::text FROM artifacts WHERE kind = 'Session' ORDER BY id_digest`);
  await authorize('openid accounts');
  await authorize('openid accounts');
  const before = await versions();
  await authorize('openid accounts');
  expect(await versions()).toEqual(before);
});
