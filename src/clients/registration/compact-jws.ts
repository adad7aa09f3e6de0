import { Problem } from '../../problem.ts';
import { parseJsonObject } from '../../security/strict-json.ts';

/** A JWS as it says of itself; nothing of it is verified. */
export interface UnverifiedJws {
  header: Readonly<Record<string, unknown>>;
  claims: Readonly<Record<string, unknown>>;
}

const compact = /^([\w-]+)\.([\w-]+)\.[\w-]*$/;

/** Takes a compact JWS apart, one with JSON objects in it; else tells why it can't. */
export function readCompactJws(text: string, maxDepth: number): UnverifiedJws | { why: string } {
  const [, header, claims] = compact.exec(text) ?? [];
  if (header === undefined || claims === undefined) return { why: 'it is not a compact JWS' };
  try {
    return { header: part(header, maxDepth), claims: part(claims, maxDepth) };
  } catch (error) {
    if (error instanceof Problem) return { why: `it is a JWS, but ${String(error.detail)}` };
    if (error instanceof TypeError) return { why: 'it is a JWS, but not of UTF-8' };
    throw error;
  }
}

const types: readonly unknown[] = ['jwt', 'application/jwt', 'jose'];

/** What speaks against `typ`: a JWT that was made for another purpose is no proof here (RFC 8725 §3.11). */
export function typeFaults({ typ }: UnverifiedJws['header']): string[] {
  if (typ === undefined) return [];
  if (typeof typ === 'string' && types.includes(typ.toLowerCase())) return [];
  return [`typ is ${JSON.stringify(typ).slice(0, 100)}`];
}

/** TypeError for what is not UTF-8. */
function part(encoded: string, maxDepth: number): Record<string, unknown> {
  const bytes = Buffer.from(encoded, 'base64url');
  return parseJsonObject(new TextDecoder('utf-8', { fatal: true }).decode(bytes), { maxDepth });
}
