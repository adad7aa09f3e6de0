import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createChanges } from '../../src/database/changes.ts';
import type { Changes } from '../../src/database/changes.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import type { RecordingLogger } from '../support/recording-logger.ts';
import { sessionServer } from '../support/session-server.ts';
import type { SessionServer } from '../support/session-server.ts';

let server: SessionServer;
let changes: Changes;
let log: RecordingLogger;

beforeEach(async () => {
  server = await sessionServer();
  log = recordingLogger();
  changes = createChanges({ connection: server.connection, logger: log.logger, retryMs: 20 });
  changes.start();
  await expectLive(true);
});

afterEach(async () => {
  await changes.close();
  await server.close();
});

async function expectLive(isLive: boolean): Promise<void> {
  await vi.waitFor(
    () => {
      expect(changes.isLive()).toBe(isLive);
    },
    { interval: 5 },
  );
}

describe('Who listens to changes', () => {
  it('survives a session that ends with more than one error', async () => {
    server.endSessions(3);
    await vi.waitFor(() => {
      expect(server.attempts()).toBe(2);
    });
    await expectLive(true);
  });

  it('tells of an outage once, in words alone, and of its end', async () => {
    server.accept(false);
    server.endSessions(1);
    await vi.waitFor(
      () => {
        expect(server.attempts()).toBeGreaterThan(4);
      },
      { timeout: 5000 },
    );
    server.accept(true);
    await vi.waitFor(
      () => {
        expect(changes.isLive()).toBe(true);
      },
      { timeout: 5000 },
    );
    expect(await log.lines()).toEqual([
      expect.objectContaining({
        level: 'warn',
        message: 'Changes of other processes are not heard',
        reason: 'terminating connection',
      }),
      expect.objectContaining({
        level: 'info',
        message: 'Changes of other processes are heard again',
      }),
    ]);
    expect(await log.raw()).not.toMatch(/stack|node_modules/);
  });

  it('says nothing when it is told to stop', async () => {
    await changes.close();
    expect(changes.isLive()).toBe(false);
    expect(await log.lines()).toEqual([]);
  });
});
