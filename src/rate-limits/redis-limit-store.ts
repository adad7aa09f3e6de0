import { createClient, defineScript } from '@redis/client';
import type { CommandParser } from '@redis/client';
import type { Logger } from '../observability/logger.ts';
import type { Charge, Charged, LimitStore } from './limit-store.ts';

/** The same steps as in postgres-limit-store.ts and count.ts; a script of Redis is one step to everybody else. */
const chargeOne = `
local at, slices, drain = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ceiling, used, want = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local known = redis.call('GET', KEYS[1])
local units = {}
if known then
  local numbers = {}
  for number in string.gmatch(known, '%S+') do numbers[#numbers + 1] = tonumber(number) end
  local passed = math.max(0, at - numbers[1])
  at = math.max(at, numbers[1])
  if drain > 0 then
    units[1] = math.max(0, numbers[2] - passed * drain)
  else
    for i = 1, math.min(passed, slices) do units[i] = 0 end
    for i = 2, #numbers do
      if #units < slices then units[#units + 1] = numbers[i] end
    end
  end
else
  for i = 1, slices do units[i] = 0 end
end
units[1] = math.max(0, units[1] + used)
local total = 0
for _, unit in ipairs(units) do total = total + unit end
local fits = math.min(want, math.max(0, math.floor(ceiling - total + 1e-9)))
units[1] = units[1] + fits
local state = string.format('%.0f', at)
for _, unit in ipairs(units) do state = state .. string.format(' %.17g', unit) end
redis.call('SET', KEYS[1], state, 'PX', ARGV[7])
return { tostring(fits), state }
`;

/** What Redis 7 and Valkey 7 know; nothing newer is asked for. */
const charge = defineScript({
  SCRIPT: chargeOne,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser: CommandParser, key: string, values: readonly string[]) {
    parser.pushKey(key);
    parser.push(...values);
  },
  transformReply: ([granted, state]: [string, string]): Charged => {
    const [at = 0, ...units] = state.split(' ').map(Number);
    return { count: { at, units }, granted: Number(granted) };
  },
});

/** How to reach Redis or Valkey. */
export interface RedisOptions {
  /** `rediss://` for TLS, with user and password where there are some. */
  url: string;
  /** For a connection that is lost: how long until the next attempt. */
  retryMs: number;
  logger: Logger;
}

/** Counts in Redis or Valkey. Begins to connect, and connects again after every loss. */
export function createRedisLimitStore({ url, retryMs, logger }: RedisOptions): LimitStore {
  const client = createClient({
    url,
    scripts: { charge },
    disableOfflineQueue: true, // a request would wait for what may never come back
    socket: { connectTimeout: retryMs * 5, reconnectStrategy: retryMs },
  });
  let isTold = false;
  let isClosed = false;
  // Closed while it connects, the client would finish that first and keep what came of it.
  client.on('connect', () => {
    if (isClosed) client.destroy();
  });
  client.on('error', (error: unknown) => {
    if (!isTold) logger.warn('The store of the rate limits is away', { error });
    isTold = true;
  });
  client.on('ready', () => {
    if (isTold) logger.info('The store of the rate limits is back');
    isTold = false;
  });
  const firstTry = new Promise<unknown>((resolve) => {
    client.once('ready', resolve).once('error', resolve);
  });
  client.connect().catch(() => undefined); // told above
  let begun: Promise<unknown> | undefined = firstTry;

  return {
    async charge(charges, nowMs) {
      const trial = begun;
      begun = undefined; // one waits for the first connection; more would be charged all at once when it comes
      await trial;
      if (!client.isReady) throw new Error('there is no connection');
      return Promise.all(charges.map((one) => client.charge(keyOf(one), valuesOf(one, nowMs))));
    },
    close() {
      isClosed = true;
      client.destroy();
      return Promise.resolve();
    },
  };
}

function keyOf({ key }: Charge): string {
  return `countersign:rate-limit:${key.toString('base64url')}`;
}

function valuesOf({ meter, used, want }: Charge, nowMs: number): string[] {
  const { sliceMs, slices, drain, ceiling, memoryMs } = meter;
  const at = Math.floor(nowMs / sliceMs);
  return [at, slices, drain, ceiling, used, want, Math.ceil(memoryMs)].map(String);
}
