import { decodeJwt } from 'jose';
import { errors } from 'oidc-provider';
import type Provider from 'oidc-provider';
import { bounds } from '../../bounds.ts';

const { maxDepth, maxLength } = bounds.parameters;

/** Parameters that are JSON (OpenID Connect Core §5.5, RFC 9396 §2), in request objects as in requests. */
const structured = ['claims', 'authorization_details'] as const;

/** JWTs that oidc-provider copies before it has verified them. */
const unverified = ['request', 'client_assertion', 'id_token_hint'] as const;

/**
 * Refuses parameters whose JSON is too deep or too long, before oidc-provider looks at any: it parses and copies them
 * recursively, which some thousand levels end with a RangeError (a 500).
 */
export function boundParameters(provider: Provider): void {
  const held = new WeakMap<object, unknown>();
  Object.defineProperty(provider.OIDCContext.prototype, 'params', {
    configurable: true,
    get(this: object) {
      return held.get(this);
    },
    set(this: object, params: Readonly<Record<string, unknown>>) {
      rejectUnbounded(params);
      held.set(this, params);
    },
  });
}

function rejectUnbounded(params: Readonly<Record<string, unknown>>): void {
  for (const name of structured) {
    const text = params[name];
    if (typeof text === 'string') rejectLarge(name, text);
  }
  for (const name of unverified) {
    const jwt = params[name];
    if (typeof jwt === 'string') rejectDeepJwt(name, jwt);
  }
}

function rejectLarge(name: string, json: string): void {
  if (depthOf(json) > maxDepth) throw new errors.InvalidRequest(`${name} is nested too deeply`);
  if (json.length > maxLength) throw new errors.InvalidRequest(`${name} is too long`);
}

function rejectDeepJwt(name: string, jwt: string): void {
  const [header = '', payload = ''] = jwt.split('.');
  const depths = [header, payload].map((part) =>
    depthOf(Buffer.from(part, 'base64url').toString()),
  );
  // The claims of a JWT are one level of their own.
  if (depths.some((depth) => depth > maxDepth + 1)) {
    throw new errors.InvalidRequest(`${name} is nested too deeply`);
  }
  if (name !== 'request') return;
  const claims = claimsOf(jwt);
  for (const one of structured) {
    const value = claims[one];
    if (value !== undefined) rejectLarge(one, textOf(value));
  }
}

/** Unverified: good for refusing it only. */
function claimsOf(jwt: string): Readonly<Record<string, unknown>> {
  try {
    return decodeJwt(jwt);
  } catch {
    return {}; // oidc-provider says what is wrong with it
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const quoted = /"(?:[^"\\]|\\.)*"?/gs;

/** The deepest level of a JSON text, without parsing it: of what is no JSON, the most brackets that are open at once. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of json.replaceAll(quoted, '').matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
