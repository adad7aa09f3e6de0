import pg from 'pg';

/** Notes the SQL that this process sends. */
export interface StatementTrace {
  start(): void;
  /** What was sent since, in order, in short: `SELECT artifacts Grant`. */
  stop(): string[];
}

/** Puts itself in front of pg's one way to send a statement; costs nothing while it is off. */
export function traceStatements(): StatementTrace {
  const prototype = pg.Client.prototype as unknown as {
    query: (...parameters: unknown[]) => unknown;
  };
  const send = prototype.query;
  let noted: string[] = [];
  return {
    start() {
      noted = [];
      prototype.query = function query(this: unknown, ...parameters: unknown[]) {
        noted.push(inShort(parameters));
        return send.apply(this, parameters);
      };
    },
    stop() {
      prototype.query = send;
      return noted;
    },
  };
}

const verb = /\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|BEGIN|COMMIT|ROLLBACK)\b/;
const table = /\b(?:FROM|INTO|UPDATE)\s+(?:"public"\."(\w+)"|([a-z_]{5,40})\b)/;
/** Kinds of oidc-provider's models are parameters; nothing else that is sent begins with a capital and is one word. */
const kind = /^[A-Z][A-Za-z]{4,30}$/;

function inShort([first, second]: unknown[]): string {
  const config = typeof first === 'string' ? { text: first, values: second } : (first ?? {});
  const { text = '', values } = config as { text?: string; values?: unknown };
  const kinds = (Array.isArray(values) ? values : []).filter(
    (value): value is string => typeof value === 'string' && kind.test(value),
  );
  const [, quoted, plain] = table.exec(text) ?? [];
  const words = [verb.exec(text)?.[1] ?? text.slice(0, 40), quoted ?? plain, ...new Set(kinds)];
  return words.filter(Boolean).join(' ');
}
