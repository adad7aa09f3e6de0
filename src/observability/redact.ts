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

interface Walk {
  nodesLeft: number;
  charactersLeft: number;
  depth: number;
  /** The objects above the present one; a repeated sibling is not a cycle. */
  readonly ancestors: Set<object>;
}

/** Verdicts on keys met before: nearly all are our own, the same few in every line. */
const verdicts = new Map<string, boolean>();
const maxVerdicts = 500;
const maxRememberedKeyLength = 40;

function isSecretKey(key: string): boolean {
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const verdict = namesSecret(key);
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

function walkText(text: string, walk: Walk): string {
  if (walk.charactersLeft <= 0) return cutMark;
  const clean = redactText(text);
  walk.charactersLeft -= clean.length;
  return clean;
}

function walkEntries(
  entries: Iterable<readonly [string, unknown]>,
  hides: (key: string) => boolean,
  walk: Walk,
): Record<string, unknown> {
  const kept: [string, unknown][] = [];
  for (const [key, value] of entries) {
    if (kept.length >= maxEntries || walk.nodesLeft <= 0) {
      kept.push(['…', cutMark]);
      break;
    }
    kept.push([walkText(key, walk), hides(key) ? hideValue(value) : walkValue(value, walk)]);
  }
  // fromEntries defines own members, so a key "__proto__" stays a key.
  return Object.fromEntries(kept);
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

/** Own enumerable members, each read once; a getter that throws doesn't cost us the log line. */
function* membersOf(value: object): Generator<[string, unknown]> {
  for (const key of Object.keys(value)) {
    let member: unknown;
    try {
      member = (value as Record<string, unknown>)[key];
    } catch {
      member = '[unreadable]';
    }
    yield [key, member];
  }
}

function* errorMembers(error: Error): Generator<[string, unknown]> {
  yield ['name', error.name];
  yield ['message', error.message];
  for (const [key, value] of membersOf(error)) {
    if (!['name', 'message', 'stack', 'cause', 'errors'].includes(key)) yield [key, value];
  }
  yield ['stack', error.stack];
  if (error.cause !== undefined) yield ['cause', error.cause];
  if (error instanceof AggregateError) yield ['errors', error.errors];
}

function walkError(error: Error, walk: Walk): unknown {
  const code = 'code' in error ? error.code : undefined;
  const harmlessCode =
    typeof code === 'number' || (typeof code === 'string' && errorCode.test(code));
  return walkEntries(
    errorMembers(error),
    (key) => isSecretKey(key) && !(key === 'code' && harmlessCode),
    walk,
  );
}

function walkObject(value: object, walk: Walk): unknown {
  if (value instanceof Error) return walkError(value, walk);
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  }
  if (value instanceof URL) return walkText(value.href, walk);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return `[${String(value.byteLength)} bytes]`;
  }
  if (Array.isArray(value) || value instanceof Set)
    return walkList(value as Iterable<unknown>, walk);
  if (value instanceof Map) {
    const entries = [...(value as Map<unknown, unknown>)].map(
      ([key, member]): [string, unknown] => [typeof key === 'string' ? key : typeof key, member],
    );
    return walkEntries(entries, isSecretKey, walk);
  }
  const isJwk = 'kty' in value;
  return walkEntries(
    membersOf(value),
    (key) => isSecretKey(key) || (isJwk && privateJwkMembers.has(key)),
    walk,
  );
}

function enterObject(value: object, walk: Walk): unknown {
  if (walk.ancestors.has(value)) return '[circular]';
  if (walk.depth >= maxDepth) return cutMark;
  walk.ancestors.add(value);
  walk.depth += 1;
  try {
    return walkObject(value, walk);
  } catch {
    return '[unreadable]';
  } finally {
    walk.depth -= 1;
    walk.ancestors.delete(value);
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
    ancestors: new Set(),
  });
}
