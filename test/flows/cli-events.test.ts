import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { bankApi, lodgeAccess, startConsentServer } from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { movesOf, startEventReceiver } from '../support/event-receiver.ts';
import type { EventReceiver } from '../support/event-receiver.ts';
import { rows } from '../support/protocol.ts';

const secret = 'Bearer typed-in-by-an-operator-0123456789';

let receiver: EventReceiver;
let world: ConsentServer;
let cli: CommandLine;

beforeAll(async () => {
  receiver = await startEventReceiver();
  const { environment } = receiver;
  world = await startConsentServer({ environment });
  cli = await commandLineBeside(world.server);
});

afterAll(async () => {
  await cli.remove();
  await world.server.stop();
  await receiver.close();
});

const streams = (...words: string[]) => cli.run(['events', 'streams', ...words]);

async function expectMoves(id: string, moves: string[]): Promise<void> {
  await vi.waitFor(
    () => {
      expect(movesOf(receiver.received, id)).toEqual(moves);
    },
    { timeout: 15_000, interval: 20 },
  );
}

describe('An operator', { timeout: 90_000 }, () => {
  it('adds a receiver, pauses it, resumes it and removes it', async () => {
    const { server, tpp } = world;
    const added = await cli.run(
      [
        ...['events', 'streams', 'add', '--resource-server', bankApi, '--push', receiver.url],
        ...['--authorization', '-', '--id', 'bank', '--json'],
      ],
      `${secret}\n`,
      receiver.environment,
    );
    expect(added).toMatchObject({ exitCode: 0, errors: '' });
    expect(added.json()['stream']).toEqual({
      ...{ id: 'bank', clientId: null, resourceServer: bankApi, delivery: 'push' },
      ...{ endpoint: receiver.url, algorithm: 'RS256', status: 'enabled', source: 'operator' },
    });
    const told = await lodgeAccess(tpp);
    await expectMoves(told, ['create']);
    expect(receiver.received[0]?.authorization).toBe(secret);

    expect(await streams('pause', 'bank')).toMatchObject({ exitCode: 0 });
    const waiting = await lodgeAccess(tpp);
    const paused = (await streams('status', 'bank', '--json')).json();
    expect(paused['stream']).toMatchObject({ status: 'paused' });
    expect(paused['health']).toMatchObject({
      ...{ pending: 1, delivered: 1, rejected: 0, expired: 0, failures: 0 },
      oldestPendingAt: expect.any(String) as string,
    });
    expect(movesOf(receiver.received, waiting)).toEqual([]);
    const text = (await streams('status', 'bank')).output;
    expect(text).toMatch(/waiting\s+1/);

    const other = `${secret}-renewed`;
    const update = ['events', 'streams', 'update', 'bank', '--authorization', '-'];
    expect(await cli.run(update, other)).toMatchObject({ exitCode: 0, errors: '' });
    expect((await streams('resume', 'bank')).output).toContain('bank is resumed');
    await expectMoves(waiting, ['create']);
    expect(receiver.received.at(-1)).toMatchObject({
      ...{ authorization: other, path: new URL(receiver.url).pathname },
    });

    const shown = [await streams('list'), await streams('show', 'bank', '--json')];
    for (const { output } of shown) expect(output).not.toContain('typed-in');
    expect(shown[0]?.output).toContain(receiver.url);
    expect(await streams('remove', 'bank')).toMatchObject({ exitCode: 0 });
    expect((await streams('list')).output).toBe('There are none.\n');
    const audited = await rows(
      server,
      `SELECT type, actor_type, detail->>'status' AS status FROM audit_events
        WHERE type LIKE 'event_stream.%' AND detail->>'stream' = 'bank' ORDER BY at, id`,
    );
    const by = { actor_type: 'operator' };
    expect(audited).toEqual([
      { type: 'event_stream.created', ...by, status: null },
      { type: 'event_stream.updated', ...by, status: 'paused' },
      { type: 'event_stream.updated', ...by, status: null },
      { type: 'event_stream.updated', ...by, status: 'enabled' },
      { type: 'event_stream.deleted', ...by, status: null },
    ]);
    const kept = await rows(server, `SELECT detail::text FROM audit_events`);
    expect(JSON.stringify(kept)).not.toContain('typed-in');
  });

  it('hears at once that a receiver at a private address would never be told anything', async () => {
    const url = 'https://10.1.2.3:8443/events';
    const add = [...['events', 'streams', 'add', '--client', 'aisp', '--id', 'private'], '--push'];
    for (const place of [url, 'https://localhost/events', 'https://[::1]/x', 'https://127.1/x']) {
      const { exitCode, errors } = await cli.run([...add, place]);
      expect([place, exitCode]).toEqual([place, 1]);
      expect(errors).toContain(`${new URL(place).host} is a private address`);
      expect(errors).toContain('unless COUNTERSIGN_OUTBOUND_ALLOW names it');
    }
    const listed = { COUNTERSIGN_OUTBOUND_ALLOW: '10.1.2.3:8443' };
    expect(await cli.run([...add, url], '', listed)).toMatchObject({ exitCode: 0, errors: '' });
    const update = ['events', 'streams', 'update', 'private', '--push'];
    const moved = await cli.run([...update, 'https://10.1.2.4/events'], '', listed);
    expect([moved.exitCode, moved.errors]).toEqual([1, expect.stringContaining('10.1.2.4 is')]);
    expect((await streams('show', 'private')).output).toContain(url);
    const named = await cli.run([...update, 'https://receiver.example/events']);
    expect(named).toMatchObject({ exitCode: 0, errors: '' });
    expect(await streams('remove', 'private')).toMatchObject({ exitCode: 0 });
  });

  it('is told what is wrong with a receiver', async () => {
    const refused: [string[], string][] = [
      [['add', '--client', 'aisp'], 'Say how events are delivered'],
      [['add', '--poll'], 'it is for one client or one resource server'],
      [['add', '--client', 'nobody', '--poll'], 'there is no client nobody'],
      [['pause', 'nothing'], 'There is no such event stream: nothing'],
    ];
    for (const [words, sentence] of refused) {
      const { exitCode, errors } = await streams(...words);
      expect({ words, failed: exitCode !== 0, errors }).toEqual({
        ...{ words, failed: true, errors: expect.stringContaining(sentence) as string },
      });
    }
  });
});
