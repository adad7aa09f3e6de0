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
    renderErrorPage: (_, { code }) => `page of ${code}`,
    isDatabaseUnavailable: () => false,
  });
  server = await serveSteps([
    answer,
    boundTime(milliseconds, log.logger),
    async (ctx) => {
      if (ctx.path === '/at-once') ctx.body = 'done';
      if (ctx.path === '/wrong') throw new Problem('not_found');
      if (ctx.path !== '/late') return;
      ctx.set('Access-Control-Allow-Origin', 'https://evil.example');
      ctx.set('Access-Control-Expose-Headers', 'Retry-After');
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
      else goOn.badly(new Error('half of it is written'));
      await ended.catch(() => undefined);
    }
    expect(await server.send('/at-once')).toMatchObject({ status: 200, body: 'done' });
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    const lines = await log.lines();
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'Request failed for now'],
      ['warn', 'Request failed for now'],
      ['warn', 'A request that was given up failed'],
    ]);
    expect(JSON.stringify(lines.at(-1))).toContain('half of it is written');
  });

  it('that is not, and fails only because it was answered, is no news', async () => {
    await serve(50);
    await server.send('/late');
    goOn.badly(Object.assign(new Error('sent'), { code: 'ERR_HTTP_HEADERS_SENT' }));
    await ended.catch(() => undefined);
    await server.send('/at-once');
    const lines = await log.lines();
    expect(lines.map(({ message }) => message)).toEqual(['Request failed for now']);
  });

  it('that is not may have done something: its page is of its own, and no script may read it', async () => {
    await serve(50);
    const browser = { accept: 'text/html', origin: 'https://evil.example' };
    const answer = await server.send('/late', { headers: browser });
    expect([answer.status, answer.body]).toEqual([503, 'page of request_given_up']);
    expect(
      Object.keys(answer.headers).filter((name) => name.startsWith('access-control-')),
    ).toEqual([]);
    goOn.well('too late');
    await ended;
  });
});
