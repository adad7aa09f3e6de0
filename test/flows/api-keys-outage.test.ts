import { afterAll, beforeAll, expect, it } from 'vitest';
import { keyRequest, keysPath, startKeyServer } from '../support/api-keys.ts';
import type { KeyServer } from '../support/api-keys.ts';
import { databaseNetwork } from '../support/database-network.ts';
import type { DatabaseNetwork } from '../support/database-network.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let network: DatabaseNetwork;
let world: KeyServer;

beforeAll(async () => {
  database = await testDatabase();
  network = await databaseNetwork(database.connection);
  world = await startKeyServer({
    environment: {
      DATABASE_URL: network.connectionString,
      COUNTERSIGN_DATABASE_TIMEOUT_MS: '500',
    },
  });
});

afterAll(async () => {
  network.comeBack();
  await world.server.stop();
  await network.close();
  await database.close();
});

it('While the database is away no key is called bad, and what was counted is not lost', async () => {
  const { server, owner } = world;
  const { id, key } = await owner.make();
  for (let i = 0; i < 3; i += 1) expect((await world.verify(key)).body['active']).toBe(true);
  network.goDown();
  // Nobody can be asked whether it still holds, so it is forgotten within a second.
  await expect.poll(async () => (await world.verify(key)).status, { timeout: 5000 }).toBe(503);
  const refused = await world.verify(key);
  expect(refused.body).toMatchObject({ code: 'temporarily_unavailable' });
  expect((await owner.call('POST', keysPath, { body: keyRequest() })).status).toBe(503);
  await expect(server.running.app.apiKeys.flush()).rejects.toThrow();
  network.comeBack();
  await expect
    .poll(async () => (await world.verify(key)).body['active'], { timeout: 5000 })
    .toBe(true);
  await server.running.app.apiKeys.flush();
  const usage = await owner.call('GET', `${keysPath}/${id}/usage`);
  const [day] = usage.body['days'] as { accepted: number }[];
  expect(day?.accepted).toBeGreaterThanOrEqual(4);
});
