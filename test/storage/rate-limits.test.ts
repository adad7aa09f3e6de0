import { createPostgresLimitStore } from '../../src/rate-limits/postgres-limit-store.ts';
import { describeLimitStore } from '../support/limit-contract.ts';
import { storeGround } from '../support/store.ts';

describeLimitStore('memory', () =>
  Promise.resolve({ processes: 1, openStore: () => undefined, close: () => Promise.resolve() }),
);

describeLimitStore('Postgres', async () => {
  const ground = await storeGround();
  let opened = 0;
  return {
    processes: 2,
    openStore: () =>
      createPostgresLimitStore((opened += 1) % 2 === 0 ? ground.sql : ground.otherSql),
    close: () => ground.close(),
  };
});
