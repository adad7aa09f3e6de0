import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
  isLive = true;
  const rows: Sql['rows'] = async (statement, values) => {
    sent.push(statement.name);
    const found = await ground.sql.rows(statement, values);
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
    await expect.poll(() => origins.has('https://new.example.com', 'any')).toBe(false);
    expect(new Set(sent)).toEqual(new Set(['client-origins-all']));
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
});
