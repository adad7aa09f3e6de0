import { afterAll, beforeAll, expect, it } from 'vitest';
import { databaseNetwork } from '../support/database-network.ts';
import type { DatabaseNetwork } from '../support/database-network.ts';
import { send } from '../support/protocol.ts';
import { policyFile } from '../support/rate-limits.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';

const hour = { counts: 'requests', algorithm: 'fixed-window', windowSeconds: 3600 } as const;

let base: AuthorizationServer;
let server: AuthorizationServer;
let network: DatabaseNetwork;
let processes: ServerProcesses;
let policy: Awaited<ReturnType<typeof policyFile>>;

beforeAll(async () => {
  policy = await policyFile([
    { name: 'keys', groups: ['metadata'], per: 'address', limit: 10, slack: 0, ...hour },
    {
      ...{ name: 'closed', groups: ['authorization'], per: 'address', limit: 10, ...hour },
      whenStoreIsDown: 'closed',
    },
  ]);
  base = await startAuthorizationServer();
  network = await databaseNetwork(base.database.connection);
  processes = await serverProcesses(base, {
    DATABASE_URL: network.connectionString,
    COUNTERSIGN_RATE_LIMIT_POLICY: policy.file,
    COUNTERSIGN_RATE_LIMIT_STORE: 'postgres',
  });
  ({ server } = await processes.start());
});

afterAll(async () => {
  await processes.close();
  await network.close();
  await base.stop();
  await policy.remove();
});

const ask = async (path: string) => (await send(server.fetch(), server.issuer + path)).status;

it('Without the database reads go on up to the limit, and what must not be guessed at is closed', async () => {
  const seen = [await ask('/jwks'), await ask('/jwks'), await ask('/jwks')];
  expect(await ask('/authorize?client_id=nobody')).toBe(400);
  network.goDown();
  for (let i = 0; i < 12; i += 1) seen.push(await ask('/jwks'));
  expect(seen.filter((status) => status === 200)).toHaveLength(10);
  expect(seen.slice(10)).toEqual([429, 429, 429, 429, 429]);
  expect(await ask('/authorize?client_id=nobody')).toBe(503);
  const metrics = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
  const refusals = 'countersign_refusals_total{endpoint="authorization",error=';
  expect(metrics).toContain(`${refusals}"temporarily_unavailable"} 1`);
  expect(metrics).not.toContain(`${refusals}"too_many_requests"}`);
  network.comeBack();
  await expect.poll(() => ask('/authorize?client_id=nobody'), { timeout: 10_000 }).toBe(400);
});
