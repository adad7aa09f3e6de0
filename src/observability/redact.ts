import { redacted, redactText } from './redact-text.ts';

const maxDepth = 10;
const maxEntries = 100;
const maxNodes = 2000;
/** UTF-16 units of all strings of one value together. */
const maxCharacters = 65_536;

const cutMark = '[cut]';

/** Compared without case, dashes, dots and underscores: `Set-Cookie`, `set_cookie` and `setCookie` are one key. */
const secretKeys = new Set([
  'assertion',
  'authorization',
  'clientassertion',
  'code',
  'codeverifier',
  'cookie',
  'cookies',
  'csrf',
  'idtokenhint',
  'jwt',
  'otp',
  'passphrase',
  'pin',
  'proxyauthorization',
  'request',
  'requesturi',
  'setcookie',
  'usercode',
  'xsrf',
]);
const secretKeyEndings =
  /(?:password|secret|token|privatekey|apikey|devicecode|authorizationcode|csrftoken)s?$/;
const privateJwkMembers = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']);

/** Error codes such as ECONNREFUSED, P2002 or 57P01; an authorization code has at least 43 characters. */
const errorCode = /^\w{1,40}$/;

/** Marks what {@link redact} gave before; a symbol that is nowhere else, so that no input can bear it. */
const clean = Symbol('clean');

/** Stands in a value for something that was redacted already, which is then taken as it is. */
export function alreadyRedacted(value: unknown): Record<string, unknown> {
  const marked: Record<string | symbol, unknown> = { [clean]: value };
  return marked;
}

interface Walk {
  nodesLeft: number;
  charactersLeft: number;
  depth: number;
  /** The objects above the present one; a repeated sibling is not a cycle. */
  readonly ancestors: object[];
}

/** What is known of a key: how it is written, and whether its value is hidden. */
interface Verdict {
  text: string;
  isSecret: boolean;
}

/** Verdicts on keys met before: nearly all are our own, the same few in every line. */
const verdicts = new Map<string, Verdict>();
const maxVerdicts = 500;
const maxRememberedKeyLength = 40;

function verdictOn(key: string): Verdict {
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const verdict = { text: redactText(key), isSecret: namesSecret(key) };
  if (verdicts.size < maxVerdicts && key.length <= maxRememberedKeyLength)
    verdicts.set(key, verdict);
  return verdict;
}

function namesSecret(key: string): boolean {
  const plain = key.toLowerCase().replace(/[-_.\s]/g, '');
  return secretKeys.has(plain) || secretKeyEndings.test(plain);
}

/** Whether there is something or nothing may be seen: true, false, null and undefined stay. */
function hideValue(value: unknown): unknown {
  return typeof value === 'boolean' || value === null || value === undefined ? value : redacted;
}

function spend(text: string, walk: Walk): string {
  if (walk.charactersLeft <= 0) return cutMark;
  walk.charactersLeft -= text.length;
  return text;
}

function walkText(text: string, walk: Walk): string {
  return walk.charactersLeft <= 0 ? cutMark : spend(redactText(text), walk);
}

/** Defines own members, so a key "__proto__" stays a key. */
function addMember(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    const plain = { enumerable: true, configurable: true, writable: true };
    Object.defineProperty(record, key, { value, ...plain });
  } else record[key] = value;
}

/** Which keys hide their values, besides those that do everywhere. */
type Hides = (key: string) => boolean;

/** An object's members, read one by one. */
interface Members {
  keys: readonly string[];
  read: (key: string) => unknown;
}

function walkMembers({ keys, read }: Members, walk: Walk, hides?: Hides): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  let count = 0;
  for (const key of keys) {
    if (count >= maxEntries || walk.nodesLeft <= 0) {
      kept['…'] = cutMark;
      break;
    }
    count += 1;
    const { text, isSecret } = verdictOn(key);
    const value = read(key);
    const isHidden = hides === undefined ? isSecret : hides(key);
    addMember(kept, spend(text, walk), isHidden ? hideValue(value) : walkValue(value, walk));
  }
  return kept;
}

function walkList(list: Iterable<unknown>, walk: Walk): unknown[] {
  const kept: unknown[] = [];
  for (const value of list) {
    if (kept.length >= maxEntries || walk.nodesLeft <= 0) {
      kept.push(cutMark);
      break;
    }
    kept.push(walkValue(value, walk));
  }
  return kept;
}

/** A getter that throws doesn't cost us the log line. */
function readMember(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return '[unreadable]';
  }
}

const toldElsewhere = ['name', 'message', 'stack', 'cause', 'errors'];

function errorMembers(error: Error): Members {
  const keys = ['name', 'message'];
  keys.push(...Object.keys(error).filter((key) => !toldElsewhere.includes(key)), 'stack');
  if (error.cause !== undefined) keys.push('cause');
  if (error instanceof AggregateError) keys.push('errors');
  return { keys, read: (key) => readMember(error, key) };
}

function walkError(error: Error, walk: Walk): unknown {
  const code = 'code' in error ? error.code : undefined;
  const harmlessCode =
    typeof code === 'number' || (typeof code === 'string' && errorCode.test(code));
  return walkMembers(
    errorMembers(error),
    walk,
    (key) => verdictOn(key).isSecret && !(key === 'code' && harmlessCode),
  );
}

function walkMap(map: ReadonlyMap<unknown, unknown>, walk: Walk): unknown {
  const named = new Map(
    [...map].map(([key, member]) => [typeof key === 'string' ? key : typeof key, member]),
  );
  return walkMembers({ keys: [...named.keys()], read: (key) => named.get(key) }, walk);
}

function walkRecord(value: object, walk: Walk): unknown {
  const members = { keys: Object.keys(value), read: (key: string) => readMember(value, key) };
  if (!('kty' in value)) return walkMembers(members, walk);
  return walkMembers(members, walk, (key) => verdictOn(key).isSecret || privateJwkMembers.has(key));
}

/** Objects with a meaning of their own; undefined for all others. */
function walkKnown(value: object, walk: Walk): unknown {
  if (value instanceof Error) return walkError(value, walk);
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  }
  if (value instanceof URL) return walkText(value.href, walk);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return `[${String(value.byteLength)} bytes]`;
  }
  if (value instanceof Set) return walkList(value as Set<unknown>, walk);
  return value instanceof Map ? walkMap(value as Map<unknown, unknown>, walk) : undefined;
}

function walkObject(value: object, walk: Walk): unknown {
  if (clean in value) return value[clean];
  if (Array.isArray(value)) return walkList(value, walk);
  // Most are plain records, which no instance check has to be made for.
  const isPlain = Object.getPrototypeOf(value) === Object.prototype;
  return (isPlain ? undefined : walkKnown(value, walk)) ?? walkRecord(value, walk);
}

function enterObject(value: object, walk: Walk): unknown {
  if (walk.ancestors.includes(value)) return '[circular]';
  if (walk.depth >= maxDepth) return cutMark;
  walk.ancestors.push(value);
  walk.depth += 1;
  try {
    return walkObject(value, walk);
  } catch {
    return '[unreadable]';
  } finally {
    walk.depth -= 1;
    walk.ancestors.pop();
  }
}

function walkValue(value: unknown, walk: Walk): unknown {
  walk.nodesLeft -= 1;
  if (typeof value === 'string') return walkText(value, walk);
  if (typeof value === 'object' && value !== null) return enterObject(value, walk);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  return value;
}

/**
 * A plain JSON-ready copy of `value` without secrets: by key (authorization, cookie, password, code, anything that ends in
 * "token" or "secret", private JWK members …) and by shape ({@link redactText}). Errors become records with stack, code and
 * cause chain. Cycles, depth, entries and total size are bounded; never throws.
 */
export function redact(value: unknown): unknown {
  return walkValue(value, {
    nodesLeft: maxNodes,
    charactersLeft: maxCharacters,
    depth: 0,
    ancestors: [],
  });
}

/** {@link redact} for the members of a record, which takes those in {@link alreadyRedacted} as they are. */
export function redactFields(
  fields: Readonly<Record<string | symbol, unknown>>,
): Record<string, unknown> {
  if (!(clean in fields)) return redact(fields) as Record<string, unknown>;
  if (Object.keys(fields).length === 0) return fields[clean] as Record<string, unknown>;
  const { [clean]: known, ...others } = fields;
  return Object.assign(redact(others) as Record<string, unknown>, known);
}
