import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createBrowserOrigins } from '../../src/clients/browser-origin-store.ts';
import type { BrowserOrigins } from '../../src/clients/browser-origin-store.ts';
import type { ChangeSource } from '../../src/database/changes.ts';
import type { Sql } from '../../src/database/sql.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let origins: BrowserOrigins;
/** Names of the statements that were sent. */
let sent: string[];
/** As long as there is one, answers of the database wait for it. */
let held: Promise<void> | undefined;
/** How many answers of the database are here. */
let arrived: number;
let isLive: boolean;
let announce: (id: string | undefined) => void;

beforeAll(async () => {
  ground = await storeGround();
});

afterAll(() => ground.close());

beforeEach(async () => {
  await ground.prisma.client.deleteMany();
  sent = [];
  held = undefined;
  arrived = 0;
  isLive = true;
  const rows: Sql['rows'] = async (statement, values) => {
    sent.push(statement.name);
    const found = await ground.sql.rows(statement, values);
    arrived += 1;
    await held;
    return found as never;
  };
  const changes: ChangeSource = {
    isLive: () => isLive,
    subscribe(topic, forget) {
      if (topic === 'clients') announce = forget;
    },
  };
  origins = createBrowserOrigins({ sql: { rows }, changes });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** From now on this process believes to have run for so much longer. */
function later(milliseconds: number): void {
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + milliseconds);
}

interface Kept {
  uris?: string[];
  method?: string;
  status?: string;
}

async function keep(id: string, { uris = [], method = 'none', status = 'active' }: Kept) {
  const metadata = { redirect_uris: uris, token_endpoint_auth_method: method };
  const data = { name: id, metadata, status };
  await ground.prisma.client.upsert({ where: { id }, create: { id, ...data }, update: data });
}

describe('The origins of clients', () => {
  it('are those of the redirect URIs of active ones, as browsers write them', async () => {
    await keep('spa', {
      uris: ['https://SPA.example.com:443/callback', 'https://spa.example.com:8443/x'],
    });
    await keep('web', { uris: ['https://web.example.com/x'], method: 'client_secret_basic' });
    await keep('app', { uris: ['com.example.app:/callback', 'http://127.0.0.1/callback'] });
    await keep('gone', { uris: ['https://gone.example.com/x'], status: 'suspended' });
    await ground.prisma.client.create({ data: { id: 'odd', name: 'odd', metadata: {} } });
    const whose = async (origin: string) => [
      await origins.has(origin, 'browser'),
      await origins.has(origin, 'any'),
    ];
    expect(await whose('https://spa.example.com')).toEqual([true, true]);
    expect(await whose('https://spa.example.com:8443')).toEqual([true, true]);
    expect(await whose('http://127.0.0.1')).toEqual([true, true]);
    expect(await whose('https://web.example.com')).toEqual([false, true]);
    for (const origin of ['https://gone.example.com', 'http://spa.example.com', 'null', '']) {
      expect(await whose(origin)).toEqual([false, false]);
    }
    expect(sent).toEqual(['client-origins-all']);
  });

  it('cost one statement, however many are asked for', async () => {
    await keep('spa', { uris: ['https://spa.example.com/x'] });
    const flood = Array.from({ length: 5000 }, (_, i) =>
      origins.has(`https://evil-${String(i)}.example`, 'any'),
    );
    expect(new Set(await Promise.all(flood))).toEqual(new Set([false]));
    expect(await origins.has('https://spa.example.com', 'any')).toBe(true);
    expect(sent).toHaveLength(1);
  });

  it('follow a client that changes, and stay while another one has them', async () => {
    const origin = 'https://shared.example.com';
    await keep('one', { uris: [`${origin}/one`] });
    await keep('two', { uris: [`${origin}/two`, `${origin}/three`] });
    expect(await origins.has(origin, 'browser')).toBe(true);
    await keep('one', { uris: [`${origin}/one`], status: 'suspended' });
    announce('one');
    expect(await origins.has(origin, 'browser')).toBe(true);
    await keep('two', { uris: [`${origin}/two`], method: 'client_secret_basic' });
    announce('two');
    expect(await origins.has(origin, 'browser')).toBe(false);
    expect(await origins.has(origin, 'any')).toBe(true);
    await ground.prisma.client.delete({ where: { id: 'two' } });
    announce('two');
    expect(await origins.has(origin, 'any')).toBe(false);
    await keep('one', { uris: [`${origin}/one`] });
    announce('one');
    expect(await origins.has(origin, 'browser')).toBe(true);
    expect(new Set(sent.slice(1))).toEqual(new Set(['client-origins-some']));
  });

  it('are read anew when anything may have changed, or changes are not heard', async () => {
    await origins.has('https://new.example.com', 'any');
    await keep('new', { uris: ['https://new.example.com/x'] });
    announce(undefined);
    expect(await origins.has('https://new.example.com', 'any')).toBe(true);
    await ground.prisma.client.deleteMany();
    isLive = false;
    later(5000);
    await expect.poll(() => origins.has('https://new.example.com', 'any')).toBe(false);
    expect(new Set(sent)).toEqual(new Set(['client-origins-all']));
  });

  it('cost one statement in five seconds while changes are not heard, whoever asks', async () => {
    isLive = false;
    for (let question = 0; question < 20; question += 1) {
      announce(undefined);
      expect(await origins.has('https://new.example.com', 'any')).toBe(false);
    }
    expect(sent).toHaveLength(1);
    await keep('new', { uris: ['https://new.example.com/x'] });
    later(5000);
    expect(await origins.has('https://new.example.com', 'any')).toBe(true);
    expect(sent).toHaveLength(2);
    isLive = true; // what was missed meanwhile is not remembered
    await ground.prisma.client.deleteMany();
    announce(undefined);
    expect(await origins.has('https://new.example.com', 'any')).toBe(false);
  });

  it('are read in turns with everything else, however many clients there are', async () => {
    const ids = Array.from({ length: 3500 }, (_, i) => `spa-${String(i)}`);
    await ground.prisma.client.createMany({
      data: ids.map((id) => ({
        ...{ id, name: id },
        metadata: { redirect_uris: [`https://${id}.example.com/x`] },
      })),
    });
    const seen = { isDone: false, turns: 0 };
    const release = Promise.withResolvers<undefined>();
    held = release.promise;
    const asked = origins.has('https://spa-3499.example.com', 'any').finally(() => {
      seen.isDone = true;
    });
    await expect.poll(() => arrived).toBe(1);
    release.resolve(undefined);
    while (!seen.isDone) {
      await nextTurn();
      seen.turns += 1;
    }
    expect(await asked).toBe(true);
    expect(seen.turns).toBeGreaterThanOrEqual(3);
    for (const id of ['spa-0', 'spa-999', 'spa-1000', 'spa-3000']) {
      expect(await origins.has(`https://${id}.example.com`, 'any')).toBe(true);
    }
    expect(sent).toHaveLength(1);
  });

  it('are never those of before a change that was heard', async () => {
    let release: () => void = () => undefined;
    held = new Promise((resolve) => (release = resolve));
    const early = origins.has('https://late.example.com', 'any');
    await expect.poll(() => sent.length).toBe(1);
    await keep('late', { uris: ['https://late.example.com/x'] });
    announce('late');
    const late = [1, 2, 3].map(() => origins.has('https://late.example.com', 'any'));
    release();
    held = undefined;
    expect(await early).toBe(false);
    expect(await Promise.all(late)).toEqual([true, true, true]);
  });

  it('are not made up while the database is away, and known when it is back', async () => {
    await keep('spa', { uris: ['https://spa.example.com/x'] });
    held = Promise.reject(new Error('away'));
    held.catch(() => undefined);
    await expect(origins.has('https://spa.example.com', 'any')).rejects.toThrow('away');
    held = undefined;
    expect(await origins.has('https://spa.example.com', 'any')).toBe(true);
  });

  it('are asked for anew by those who only waited for somebody else’s failure', async () => {
    await keep('spa', { uris: ['https://spa.example.com/x'] });
    const failure = Promise.withResolvers<undefined>();
    held = failure.promise;
    const first = origins.has('https://spa.example.com', 'any');
    await expect.poll(() => arrived).toBe(1);
    const second = origins.has('https://spa.example.com', 'any');
    held = undefined;
    failure.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    expect(await second).toBe(true);
  });
});
