import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedisLimitStore } from '../../src/rate-limits/redis-limit-store.ts';
import { meterOf } from '../../src/rate-limits/rule.ts';
import type { Rule } from '../../src/rate-limits/rule.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { describeLimitStore } from '../support/limit-contract.ts';
import { authorizationRequest } from '../support/openid.ts';
import { freePort } from '../support/free-port.ts';
import { basic, post } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { startRedis } from './support/redis.ts';

const rule: Rule = { name: 'r', algorithm: 'fixed-window', limit: 5, windowSeconds: 60 };

describeLimitStore('Redis', async () => {
  const redis = await startRedis();
  return {
    processes: 2,
    openStore: () => createRedisLimitStore({ url: redis.url, retryMs: 100, logger: silentLogger }),
    close: () => redis.stop(),
  };
});

describe('A Redis that is not there yet', () => {
  const charge = { key: Buffer.alloc(32, 1), meter: meterOf(rule), used: 3, want: 0 };

  it('is told nothing that was refused meanwhile when it comes', async () => {
    const place = { port: await freePort(), password: 'later' };
    const url = `redis://:${place.password}@127.0.0.1:${String(place.port)}`;
    const store = createRedisLimitStore({ url, retryMs: 50, logger: silentLogger });
    for (let i = 0; i < 20; i += 1) await expect(store.charge([charge], 0)).rejects.toThrow();
    const redis = await startRedis(place);
    const ask = () => store.charge([{ ...charge, used: 0 }], 0).catch(() => []);
    await expect
      .poll(ask, { timeout: 10_000 })
      .toEqual([{ count: { at: 0, units: [0] }, granted: 0 }]);
    await store.close();
    await redis.stop();
  });
});

describe('A server whose limits are in Redis', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let server: AuthorizationServer;

  beforeAll(async () => {
    redis = await startRedis();
    server = await startAuthorizationServer({
      environment: {
        COUNTERSIGN_RATE_LIMIT_STORE: 'redis',
        COUNTERSIGN_RATE_LIMIT_REDIS_URL: redis.url,
      },
    });
  });

  afterAll(async () => {
    await server.stop();
    await redis.stop();
  });

  async function logIn() {
    const { username, password } = server.customer;
    const parameters = { redirect_uri: callbacks.web, scope: 'accounts' };
    const { url } = await authorizationRequest(await discoverWeb(server), parameters);
    const agent = createCustomerAgent(server);
    const page = await agent.open(url);
    return (await agent.submit(page, { username, password, action: 'login' })).status;
  }

  async function token() {
    const form = { grant_type: 'client_credentials', scope: 'accounts' };
    const headers = basic('web', server.secrets.web);
    return (await post(server.fetch(), `${server.issuer}/token`, { form, headers })).status;
  }

  it('gives tokens without it but lets nobody log in, and goes on when it is back', async () => {
    expect(await logIn()).toBe(200);
    expect(await token()).toBe(200);
    await redis.stop();
    expect(await logIn()).toBe(503);
    expect(await token()).toBe(200);
    redis = await startRedis(redis);
    await expect.poll(logIn, { timeout: 15_000, interval: 500 }).toBe(200);
    expect(JSON.stringify(await server.log.lines())).not.toContain(redis.password);
  });
});
