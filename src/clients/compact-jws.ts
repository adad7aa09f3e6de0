import { Problem } from '../problem.ts';
import { parseJsonObject } from '../security/strict-json.ts';

/** A JWS as it says of itself; nothing of it is verified. */
export interface UnverifiedJws {
  header: Readonly<Record<string, unknown>>;
  claims: Readonly<Record<string, unknown>>;
}

const compact = /^([\w-]+)\.([\w-]+)\.[\w-]*$/;

/** Takes a compact JWS apart; undefined when it is not one with JSON objects in it. */
export function readCompactJws(text: string, maxDepth: number): UnverifiedJws | undefined {
  const [, header, claims] = compact.exec(text) ?? [];
  if (header === undefined || claims === undefined) return undefined;
  try {
    return { header: part(header, maxDepth), claims: part(claims, maxDepth) };
  } catch (error) {
    if (error instanceof Problem || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** TypeError for what is not UTF-8. */
function part(encoded: string, maxDepth: number): Record<string, unknown> {
  const bytes = Buffer.from(encoded, 'base64url');
  return parseJsonObject(new TextDecoder('utf-8', { fatal: true }).decode(bytes), { maxDepth });
}
