import { Writable } from 'node:stream';
import { setImmediate as tick } from 'node:timers/promises';
import { createLogger, type Logger } from '../../src/observability/logger.ts';

/** A line as the JSON format writes it. */
export type LogLine = Record<string, unknown> & { level: string; message: string };

/** A real logger, and everything that it wrote so far. */
export interface RecordingLogger {
  logger: Logger;
  /** All lines once the logger has passed them on. */
  lines: () => Promise<LogLine[]>;
  /** What was written, byte for byte. */
  raw: () => Promise<string>;
}

/** A stream that keeps what it gets. */
export function recordingStream(): { stream: Writable; text: () => string } {
  const chunks: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => chunks.join('') };
}

/** A logger of all levels that writes to memory. */
export function recordingLogger(format: 'json' | 'text' = 'json'): RecordingLogger {
  const { stream, text } = recordingStream();
  const logger = createLogger({ level: 'debug', format, destination: stream });
  const raw = async (): Promise<string> => {
    await tick();
    return text();
  };
  return {
    logger,
    raw,
    lines: async () =>
      (await raw())
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as LogLine),
  };
}
