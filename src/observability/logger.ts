import winston from 'winston';
import { systemClock, type Clock } from '../clock.ts';
import { guardDestination } from './log-destination.ts';
import { redactFields } from './redact.ts';
import { redactText } from './redact-text.ts';
import { currentRequest, type RequestContext } from './request-context.ts';

/** From chatty to grave. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Writes one line: a constant sentence, and the facts as fields. Never throws. */
export type WriteLine = (message: string, fields?: Record<string, unknown>) => void;

/** A structured log; request id and address are added from the request context, secrets are taken out. */
export interface Logger {
  debug: WriteLine;
  info: WriteLine;
  warn: WriteLine;
  error: WriteLine;
  /** A logger that adds `fields` to every line. */
  child(fields: Record<string, unknown>): Logger;
}

/** How and where to log. */
export interface LoggerOptions {
  /** The least grave level that is written. */
  level: LogLevel;
  /** One JSON object per line, or `<time> <level> <message> key=value …` for people. */
  format: 'json' | 'text';
  /** Standard output unless given. */
  destination?: NodeJS.WritableStream;
  clock?: Clock;
  /** Milliseconds that a line may wait to be written together with the next ones; 0 unless given: the end of the turn. */
  gatherMs?: number;
}

const gravity = { error: 0, warn: 1, info: 2, debug: 3 } as const satisfies Record<
  LogLevel,
  number
>;

/** Of the fields that every line has, none can be overwritten by the fields of a caller. */
interface Line {
  at: string;
  level: LogLevel;
  message: string;
  /** Of which request it tells. */
  origin: { requestId: string; address: string } | undefined;
  fields: Record<string, unknown>;
}

/**
 * Controls and line separators, which could forge a line or move a terminal's cursor; and what shows nothing or turns the text
 * around it (format characters, and what §5.21 of Unicode has displays ignore), which could hide something in a value.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

const plainKey = /^[\w.-]+$/;

/** Whether there may be something to escape: all that JSON leaves as it is lies above "~", halves of pairs too. */
const beyondPlainText = /[\u007f-\uffff]/;

function escapeUnprintable(text: string): string {
  return text.replace(unprintable, (character) => {
    if (character === '\n') return '\\n';
    // By UTF-16 units, as JSON has it (RFC 8259 §7): of what lies beyond U+FFFF, a pair.
    const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });
}

function asText(line: Line): string {
  const members: Record<string, unknown> = { ...line.origin, ...line.fields };
  const fields = Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        ` ${plainKey.test(key) ? key : JSON.stringify(key)}=${JSON.stringify(value)}`,
    )
    .join('');
  return escapeUnprintable(`${line.at} ${line.level.padEnd(5)} ${line.message}${fields}`);
}

const ownNames = ['at', 'level', 'message', 'requestId', 'address'];

/** What follows the members that every line has; begins with a comma unless there is nothing. */
function membersOf(fields: Record<string, unknown> | undefined): string {
  const text = JSON.stringify(fields ?? {});
  return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}

/** Written part by part: one object of all members costs more to make than its text. */
function asJson({ at, level, message, origin, fields }: Line): string {
  const start = `{"at":"${at}","level":"${level}","message":${JSON.stringify(message)}`;
  const isNamedAnew = ownNames.some((name) => name in fields);
  const rest = isNamedAnew
    ? membersOf({ ...origin, ...fields, at: undefined, level: undefined, message: undefined })
    : membersOf(origin) + membersOf(fields);
  const text = `${start}${rest}}`;
  return beyondPlainText.test(text) ? escapeUnprintable(text) : text;
}

function originOf(request: RequestContext | undefined): Line['origin'] {
  if (request === undefined) return undefined;
  const { requestId, address } = request;
  return { requestId, address: redactText(address) };
}

/** Many lines are of the same millisecond. */
function createTimestamps(clock: Clock): () => string {
  let at = Number.NaN;
  let text = '';
  return () => {
    const now = clock.now();
    if (now.getTime() !== at) {
      at = now.getTime();
      text = now.toISOString();
    }
    return text;
  };
}

type Write = (level: LogLevel, message: string, fields: Record<string, unknown>) => void;

function bindFields(write: Write, bound: Record<string, unknown>): Logger {
  const isBound = Object.keys(bound).length > 0;
  const at =
    (level: LogLevel): WriteLine =>
    (message, fields = {}) => {
      write(level, message, isBound ? { ...bound, ...fields } : fields);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => bindFields(write, { ...bound, ...fields }),
  };
}

/** Where winston's formats leave the finished line (package triple-beam). */
const rendered = Symbol.for('message');
interface Rendered {
  [rendered]: string;
}

function ignore(): void {
  // The transport says when it took a line; nobody waits for it.
}

/** A logger on winston that writes UTC lines; a failing destination (EPIPE, ENOSPC) never stops the process. */
export function createLogger(options: LoggerOptions): Logger {
  const clock = options.clock ?? systemClock;
  const render = options.format === 'json' ? asJson : asText;
  const destination = options.destination ?? process.stdout;
  const writer = guardDestination(destination, options.gatherMs ?? 0);
  const transport = new winston.transports.Stream({
    stream: destination,
    // In place of its own, which schedules an event for every line and writes each alone.
    log(info: Rendered, next: () => void) {
      writer.write(`${info[rendered]}\n`);
      next();
    },
  });
  const timestamp = createTimestamps(clock);
  return bindFields((level, message, fields) => {
    if (gravity[level] > gravity[options.level]) return;
    const line: Line = {
      at: timestamp(),
      level,
      message: redactText(message),
      // Its identifier is ours, the address may be a proxy's word.
      origin: originOf(currentRequest()),
      fields: redactFields(fields),
    };
    // Without winston's logger between the two: as a stream that is piped into another it costs 20 µs a line.
    transport.log?.({ [rendered]: render(line) }, ignore);
  }, {});
}
