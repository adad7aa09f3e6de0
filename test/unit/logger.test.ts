import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { Writable } from 'node:stream';
import { setImmediate as tick } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/observability/logger.ts';
import {
  currentRequest,
  runWithoutRequest,
  runWithRequest,
  type RequestContext,
} from '../../src/observability/request-context.ts';
import { Problem } from '../../src/problem.ts';
import { recordingLogger, recordingStream } from '../support/recording-logger.ts';

const request: RequestContext = {
  requestId: '5e8c7a5c-6f0e-4a53-8a29-1f6f4a2f7c11',
  address: '192.0.2.7',
  listener: 'mtls',
  method: 'POST',
  path: '/token',
};
const loggerModule = fileURLToPath(new URL('../../src/observability/logger.ts', import.meta.url));

/** Logs 2000 lines to standard output, and says on standard error that it got past them. */
const chattyProgram = `
  import { createLogger } from ${JSON.stringify(loggerModule)};
  const logger = createLogger({ level: 'info', format: 'json' });
  for (let line = 0; line < 2000; line += 1) logger.info('line', { line });
  setTimeout(() => { logger.info('later'); setTimeout(() => process.stderr.write('alive'), 20); }, 20);
`;

async function runChatty(stdout: number | 'pipe', onStart: (out?: NodeJS.ReadableStream) => void) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', chattyProgram], {
    stdio: ['ignore', stdout, 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  onStart(child.stdout ?? undefined);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, errors };
}

describe('a log line', () => {
  it('has time in UTC, level, message, the request and the fields', async () => {
    const { stream, text } = recordingStream();
    const clock = { now: () => new Date('2026-11-22T10:00:00.5Z') };
    const logger = createLogger({ level: 'info', format: 'json', destination: stream, clock });
    runWithRequest(request, () => {
      logger.child({ part: 'tokens' }).info('Token issued', { clientId: 'tpp' });
    });
    await tick();
    expect(JSON.parse(text())).toEqual({
      at: '2026-11-22T10:00:00.500Z',
      level: 'info',
      message: 'Token issued',
      requestId: request.requestId,
      address: request.address,
      part: 'tokens',
      clientId: 'tpp',
    });
  });

  it('keeps time, level and message, whatever the fields are called', async () => {
    const { logger, lines } = recordingLogger();
    logger.warn('real', { message: 'forged', level: 'error', at: 'never', stack: 'x' });
    const [line] = await lines();
    expect(line).toMatchObject({ level: 'warn', message: 'real' });
    expect(line?.['at']).not.toBe('never');
  });

  it('has each member once, also where fields are called like those of its request', async () => {
    const { logger, lines, raw } = recordingLogger();
    runWithRequest(request, () => {
      logger.info('asked', { address: '192.0.2.9', nothing: undefined });
      logger.info('empty');
    });
    const [asked, empty] = await lines();
    expect(asked).toMatchObject({ requestId: request.requestId, address: '192.0.2.9' });
    expect(empty).toMatchObject({ requestId: request.requestId, address: request.address });
    expect((await raw()).match(/"address":/g)).toHaveLength(2);
  });

  it('tells the time of its own millisecond', async () => {
    const { stream, text } = recordingStream();
    const times = [
      '2026-11-22T10:00:00.001Z',
      '2026-11-22T10:00:00.001Z',
      '2026-11-22T10:00:00.002Z',
    ];
    const clock = { now: () => new Date(times.shift() ?? '') };
    const logger = createLogger({ level: 'info', format: 'json', destination: stream, clock });
    for (const message of ['one', 'two', 'three']) logger.info(message);
    await tick();
    expect(text().match(/00\.00\dZ/g)).toEqual(['00.001Z', '00.001Z', '00.002Z']);
  });

  it('is left out below the level', async () => {
    const { stream, text } = recordingStream();
    const logger = createLogger({ level: 'warn', format: 'text', destination: stream });
    logger.debug('one');
    logger.info('two');
    logger.warn('three');
    logger.error('four');
    await tick();
    expect(text().match(/one|two|three|four/g)).toEqual(['three', 'four']);
  });

  it('shows errors with code, stack and all causes, and no secrets', async () => {
    const { logger, lines, raw } = recordingLogger();
    const cause = Object.assign(new Error('password=hunter2 refused'), { code: 'ECONNREFUSED' });
    logger.error('failed', {
      error: new Problem('server_error', { cause }),
      headers: { authorization: 'Basic aHVudGVyMjpodW50ZXIy' },
    });
    const [line] = await lines();
    expect(line).toMatchObject({
      error: {
        code: 'server_error',
        stack: expect.stringContaining('logger.test.ts') as string,
        cause: { code: 'ECONNREFUSED', stack: expect.any(String) as string },
      },
      headers: { authorization: '[redacted]' },
    });
    expect(await raw()).not.toMatch(/hunter2|aHVudGVy/);
  });

  it.each(['json', 'text'] as const)('can not be forged in %s format', async (format) => {
    const { logger, raw } = recordingLogger(format);
    const forged = '\r\n2026-11-22T10:00:00.000Z info  forged\u2028\u0085\u001b[2J\u009b2J\u202e';
    logger.info(`user ${forged}`, { forged, [`key${forged}`]: [forged] });
    const text = await raw();
    expect(text.endsWith('\n')).toBe(true);
    expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
  });

  /** One of each kind that shows nothing, or turns what is beside it. */
  const hidden = [
    ...[0xad, 0x34f, 0x61c, 0x115f, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x202e, 0x2060],
    ...[0x2064, 0x2066, 0x3164, 0xfe0f, 0xfeff, 0xfff9, 0xe0000, 0xe0041, 0xe007f, 0xe0100],
  ].map((point) => [point.toString(16), String.fromCodePoint(point)] as const);

  it.each(hidden)('hides no U+%s', async (_name, character) => {
    const escaped = character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('');
    for (const format of ['json', 'text'] as const) {
      const { logger, raw } = recordingLogger(format);
      logger.info(`ad${character}min`, { name: `ad${character}min`, [`na${character}me`]: 1 });
      const text = await raw();
      expect(text).not.toContain(character);
      expect(text.split(escaped)).toHaveLength(4);
    }
    const { logger, lines } = recordingLogger();
    logger.info('asked', { name: `ad${character}min` });
    expect(await lines()).toMatchObject([{ name: `ad${character}min` }]);
  });

  it('leaves letters of any script, and pictures, as they are', async () => {
    const { logger, raw } = recordingLogger();
    logger.info('asked', { name: 'Zoë Ångström 李 حسن 🐝' });
    expect(await raw()).toContain('"Zoë Ångström 李 حسن 🐝"');
  });

  it('is readable in text format', async () => {
    const { logger, raw } = recordingLogger('text');
    logger.info('Listening', { port: 3443, host: 'localhost', 'a b': undefined });
    expect(await raw()).toMatch(/^\S+Z info {2}Listening port=3443 host="localhost"\n$/);
  });
});

describe('lines that are gathered', () => {
  it('are written together, and all of them at the exit', () => {
    const program = `
      import { createLogger } from ${JSON.stringify(loggerModule)};
      const write = process.stdout.write.bind(process.stdout);
      process.stdout.write = (text) => write('<' + text + '>');
      const logger = createLogger({ level: 'info', format: 'text', gatherMs: 1 });
      const gathered = createLogger({ level: 'info', format: 'text', gatherMs: 3_600_000 });
      const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
      logger.info('one');
      setImmediate(() => logger.info('two'));
      await turn();
      gathered.info('three');
      await turn();
      gathered.info('four');
      process.exit(0);
    `;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program]);
    const writes = stdout.toString().match(/<[^>]*>/g) ?? [];
    const words = writes.map((text) => text.match(/one|two|three|four/g));
    expect(words.flat()).toEqual(['one', 'two', 'three', 'four']);
    expect(words.at(-1)).toEqual(['three', 'four']);
  });
});

describe('the request context', () => {
  it('follows awaited work, keeps requests apart, and can be left', async () => {
    const seen = await Promise.all(
      ['a', 'b'].map((requestId) =>
        runWithRequest({ ...request, requestId }, async () => {
          await tick();
          return [currentRequest()?.requestId, runWithoutRequest(currentRequest)];
        }),
      ),
    );
    expect(seen).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
    expect(currentRequest()).toBeUndefined();
  });
});

describe('a destination that fails', () => {
  it('does not stop a process whose reader went away', async () => {
    const { code, errors } = await runChatty('pipe', (out) => {
      (out as Writable | undefined)?.destroy();
    });
    expect({ code, errors }).toEqual({ code: 0, errors: 'alive' });
  });

  it.runIf(existsSync('/dev/full'))('does not stop a process whose disk is full', async () => {
    const full = openSync('/dev/full', 'w');
    const { code, errors } = await runChatty(full, () => undefined);
    closeSync(full);
    expect({ code, errors }).toEqual({ code: 0, errors: 'alive' });
  });

  it('does not throw, whether it fails late or at once', async () => {
    const late = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
      },
    });
    const atOnce = Object.assign(new Writable(), {
      write: () => {
        throw new Error('broken');
      },
    });
    for (const destination of [late, atOnce]) {
      const logger = createLogger({ level: 'info', format: 'json', destination });
      logger.info('one');
      await tick();
      logger.info('two');
    }
    await tick();
    expect(late.errored).toMatchObject({ code: 'ENOSPC' });
  });

  it('does not fill the memory when it does not drain, and says what was lost', async () => {
    const written: string[] = [];
    let release: (() => void) | undefined;
    const stuck = new Writable({
      decodeStrings: false,
      write(chunk: string, _encoding, done) {
        written.push(chunk);
        if (release === undefined) release = done;
        else done();
      },
    });
    const logger = createLogger({ level: 'info', format: 'json', destination: stuck });
    const part = 'x'.repeat(10_000);
    for (let line = 0; line < 2000; line += 1) logger.info(part);
    await tick();
    expect(stuck.writableLength).toBeLessThan(9_000_000);
    release?.();
    await tick();
    logger.info('after');
    await tick();
    const all = written.join('');
    expect(all).toMatch(/"Log lines dropped","dropped":\d{4}\}/);
    expect(all).toContain('"message":"after"');
  });
});
