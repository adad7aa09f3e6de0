import { compactVerify, createLocalJWKSet } from 'jose';
import type { JSONWebKeySet, JWK } from 'jose';
import { bounds } from '../../bounds.ts';
import { Problem } from '../../problem.ts';
import { parseJsonObject } from '../../security/strict-json.ts';

/** The guarded way out; `security/outbound-fetch.ts` fits. */
export type Fetch = (url: string) => Promise<Response>;

const maxKeys = 100;

/** By the way out, so that different guards don't share an answer. */
const underWay = new WeakMap<Fetch, Map<string, Promise<JSONWebKeySet>>>();

/**
 * The JWK set at an https URL; who asks while it is being fetched gets the same answer, so that many registrations at
 * once are one request to the third party. Problem('outbound_refused'), also for what is no JWK set.
 */
export function fetchKeySet(fetch: Fetch, url: string): Promise<JSONWebKeySet> {
  const running = underWay.get(fetch) ?? new Map<string, Promise<JSONWebKeySet>>();
  underWay.set(fetch, running);
  const known = running.get(url);
  if (known !== undefined) return known;
  const fetched = readKeySet(fetch, url).finally(() => running.delete(url));
  running.set(url, fetched);
  return fetched;
}

async function readKeySet(fetch: Fetch, url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url);
  const text = await response.text();
  if (response.status === 200) return parseKeySet(text, url);
  throw new Problem('outbound_refused', { detail: `${url} answered ${String(response.status)}` });
}

/** The JWK set in a text; `origin` names it in errors. Problem('outbound_refused'). */
export function parseKeySet(text: string, origin: string): JSONWebKeySet {
  const keys = keysIn(text);
  if (keys !== undefined && keys.length <= maxKeys) return { keys };
  throw new Problem('outbound_refused', { detail: `${origin} holds no JWK set` });
}

function keysIn(text: string): JSONWebKeySet['keys'] | undefined {
  try {
    const { keys } = parseJsonObject(text, bounds.keySets);
    return Array.isArray(keys) && keys.every(isKey) ? keys : undefined;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

function isKey(value: unknown): value is JWK & { kty: string } {
  return typeof value === 'object' && value !== null && 'kty' in value;
}

/** Whether a key of the set signed the JWS with one of the algorithms; else why not, for the log. */
export async function signatureFault(
  jws: string,
  keys: JSONWebKeySet,
  algorithms: readonly string[],
): Promise<string | undefined> {
  try {
    await compactVerify(jws, createLocalJWKSet(keys), { algorithms: [...algorithms] });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
