import { createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { publicJwkOf } from '../key-material.ts';
import type { PublicJwk, SigningAlgorithm } from '../key-ring.ts';
import { generateMs, referenceOf, signerFailure } from './signer.ts';
import type { Signer } from './signer.ts';

interface Dependencies {
  /** The service's address, with the path below which `keys/` and `sign/` are. */
  url: string;
  /** What the names of our keys there begin with. */
  keyPrefix: string;
  /** The service's access token. */
  token: () => string;
  /** The access token after the service refused it: another one, where somebody renews it beside us. */
  renewToken: () => string;
  /** How long a signature may take. */
  timeoutMs: number;
  /** Ends by itself after the time that making a key may take. */
  send: (url: string, options: RequestInit) => Promise<Response>;
}

interface Kind {
  type: string;
  /** What is asked for beside the input, and in the path. */
  hash: string;
  options: Record<string, string>;
}

/** The service's words for each algorithm; https://developer.hashicorp.com/vault/api-docs/secret/transit. */
const kinds: Record<SigningAlgorithm, Kind> = {
  RS256: {
    ...{ type: 'rsa-2048', hash: '/sha2-256' },
    options: { signature_algorithm: 'pkcs1v15' },
  },
  PS256: {
    ...{ type: 'rsa-2048', hash: '/sha2-256' },
    options: { signature_algorithm: 'pss', salt_length: 'hash' },
  },
  ES256: {
    ...{ type: 'ecdsa-p256', hash: '/sha2-256' },
    options: { marshaling_algorithm: 'jws' },
  },
  EdDSA: { type: 'ed25519', hash: '', options: {} },
};

/**
 * Signs at a key service that speaks as Vault's transit engine does: keys have names and versions, of which one is a key of
 * the ring. A reference is `<name>:<version>`.
 */
export function createRemoteSigner(deps: Dependencies): Signer {
  const ask = asker(deps);
  return {
    async generate(algorithm) {
      const name = `${deps.keyPrefix}-${algorithm.toLowerCase()}`;
      const path = `keys/${name}`;
      const inTime = AbortSignal.timeout(generateMs); // for all of it
      const isThere = (await ask('GET', path, undefined, inTime)) !== undefined;
      if (isThere) await ask('POST', `${path}/rotate`, {}, inTime);
      else await ask('POST', path, { type: kinds[algorithm].type }, inTime);
      const found = await ask('GET', path, undefined, inTime);
      const { version, publicJwk } = newestOf(found, algorithm);
      const kid = await calculateJwkThumbprint(publicJwk);
      const reference = `${name}:${String(version)}`;
      return { kid, algorithm, publicJwk, reference, signer: 'remote' };
    },
    open(key) {
      const [name = '', version = ''] = referenceOf(key).split(':');
      const { hash, options } = kinds[key.algorithm];
      const path = `sign/${name}${hash}`;
      return async (data) => {
        const input = Buffer.from(data).toString('base64');
        const wish = { ...options, input, key_version: Number(version) };
        return signatureIn(await ask('POST', path, wish, AbortSignal.timeout(deps.timeoutMs)));
      };
    },
    // A version is not taken away alone; one that nobody uses does no harm.
    discard: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

type Ask = (...asked: Asked) => Promise<unknown>;
type Asked = [method: string, path: string, body?: object, signal?: AbortSignal];

/** The `data` of an answer; undefined where there is nothing. Problem('signer_unavailable'). */
function asker({ url, token, renewToken, send }: Dependencies): Ask {
  async function attempt(...[method, path, body, signal]: Asked): Promise<Response> {
    const headers = { 'x-vault-token': token(), 'content-type': 'application/json' };
    const content = {
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    };
    const request = () => send(`${url}/${path}`, { method, headers, ...content });
    try {
      // The service may close a kept connection at the moment in which it is used again.
      return await request().catch((error: unknown) =>
        isReset(error) ? request() : reject(error),
      );
    } catch (error) {
      const fault = isTimeout(error) ? 'timeout' : 'unavailable';
      throw signerFailure(fault, error instanceof Error ? error.message : String(error), error);
    }
  }

  return async (...request) => {
    const [method, path] = request;
    const before = token();
    let response = await attempt(...request);
    if (response.status === 403 && renewToken() !== before) {
      response = await attempt(...request);
    }
    if (response.status === 404 && method === 'GET') return undefined;
    if (response.ok) return dataOf(response);
    const fault = response.status < 500 && response.status !== 429 ? 'refused' : 'unavailable';
    throw signerFailure(fault, `${method} ${path}: status ${String(response.status)}`);
  };
}

async function dataOf(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return null;
  try {
    return recordIn(JSON.parse(text))['data'];
  } catch (error) {
    throw signerFailure('unavailable', 'the answer is not JSON', error);
  }
}

function signatureIn(data: unknown): Buffer {
  const text = recordIn(data)['signature'];
  const [, , encoded] = typeof text === 'string' ? text.split(':') : [];
  if (encoded === undefined) throw signerFailure('unavailable', 'the answer has no signature');
  return Buffer.from(encoded, 'base64'); // reads base64url too, which `jws` has
}

function newestOf(data: unknown, algorithm: SigningAlgorithm) {
  const { latest_version: version, keys } = recordIn(data);
  const text = recordIn(recordIn(keys)[String(version)])['public_key'];
  if (typeof version !== 'number' || typeof text !== 'string') {
    throw signerFailure('unavailable', 'the answer has no public key');
  }
  return { version, publicJwk: publicKeyIn(text, algorithm) };
}

/** PEM, but for Ed25519 the bare bytes. */
function publicKeyIn(text: string, algorithm: SigningAlgorithm): PublicJwk {
  if (algorithm === 'EdDSA' && !text.includes('-----')) {
    return { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(text, 'base64').toString('base64url') };
  }
  try {
    return publicJwkOf(createPublicKey(text).export({ format: 'jwk' }) as PublicJwk);
  } catch (error) {
    throw signerFailure('unavailable', 'the public key can not be read', error);
  }
}

function recordIn(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function reject(error: unknown): never {
  throw error;
}

function isReset(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'ECONNRESET') || isReset(error.cause);
}

function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'TimeoutError' || isTimeout(error.cause);
}
