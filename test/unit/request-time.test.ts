import { afterEach, describe, expect, it, vi } from 'vitest';
import { problemResponse } from '../../src/http/problem-response.ts';
import { boundTime } from '../../src/http/request-time.ts';
import { Problem } from '../../src/problem.ts';
import { serveSteps } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let server: TestServer;
let log: ReturnType<typeof recordingLogger>;
/** Lets the handler at /late go on, in this way. */
let goOn: { well: (body: string) => void; badly: (error: Error) => void };
let ended: Promise<unknown>;

async function serve(milliseconds: number): Promise<void> {
  log = recordingLogger();
  const answer = problemResponse({
    logger: log.logger,
    renderErrorPage: () => 'page',
    isDatabaseUnavailable: () => false,
  });
  server = await serveSteps([
    answer,
    boundTime(milliseconds),
    async (ctx) => {
      if (ctx.path === '/at-once') ctx.body = 'done';
      if (ctx.path === '/wrong') throw new Problem('not_found');
      if (ctx.path !== '/late') return;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      goOn = { well: resolve, badly: reject };
      ended = promise.then((body) => {
        ctx.body = body;
        ctx.set('X-Late', 'yes');
      });
      await ended;
    },
  ]);
}

afterEach(() => server[Symbol.asyncDispose]());

describe('A request', () => {
  it('that is answered in time is answered as ever', async () => {
    await serve(10_000);
    expect(await server.send('/at-once')).toMatchObject({ status: 200, body: 'done' });
    expect(await server.send('/wrong')).toMatchObject({ status: 404 });
    expect(await server.send('/unknown')).toMatchObject({ status: 404 });
  });

  it('that is not is told to come back, and what comes later is nobody’s', async () => {
    await serve(50);
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    for (const later of ['well', 'badly'] as const) {
      const answer = await server.send('/late');
      expect(answer.status).toBe(503);
      expect(answer.headers).toMatchObject({ connection: 'close', 'retry-after': '5' });
      expect(JSON.parse(answer.body)).toMatchObject({ error: 'temporarily_unavailable' });
      if (later === 'well') goOn.well('too late');
      else goOn.badly(new Error('too late'));
      await ended.catch(() => undefined);
    }
    expect(await server.send('/at-once')).toMatchObject({ status: 200, body: 'done' });
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    const lines = await log.lines();
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'Request failed for now'],
      ['warn', 'Request failed for now'],
    ]);
  });
});
