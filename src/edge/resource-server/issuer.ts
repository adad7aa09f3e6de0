import { Unavailable } from './refusal.ts';
import type { ApiClient, Settings } from './options.ts';

/** What the issuer says of itself (RFC 8414). */
export interface IssuerMetadata {
  jwks_uri: string;
  introspection_endpoint: string | undefined;
}

/** An answer of the issuer. */
export interface IssuerAnswer {
  status: number;
  headers: Headers;
  /** Undefined unless it is a JSON object. */
  body: Readonly<Record<string, unknown>> | undefined;
}

/** The way to the issuer. */
export interface Issuer {
  /** Found by discovery once; asked again after a failure. Rejects with {@link Unavailable}. */
  metadata(): Promise<IssuerMetadata>;
  /** Bounded in time and size, without redirects. Rejects with {@link Unavailable}. */
  ask(url: string, init?: RequestInit): Promise<IssuerAnswer>;
}

/** 100 keys with their certificate chains stay below it. */
const maxBytes = 262_144;
/** A discovery that failed is not tried by each request. */
const retryMs = 5000;

/** Connects to the issuer at the first request that needs it. */
export function createIssuer({ issuer, fetch, timeoutMs, now }: IssuerSettings): Issuer {
  let found: Promise<IssuerMetadata> | undefined;
  let failure: { at: number; error: unknown } | undefined;

  async function ask(url: string, init: RequestInit = {}): Promise<IssuerAnswer> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, { redirect: 'error', ...init, signal });
      const text = await boundedText(response);
      return { status: response.status, headers: response.headers, body: recordIn(text) };
    } catch (error) {
      throw new Unavailable(`${url} does not answer`, error);
    }
  }

  async function discover(): Promise<IssuerMetadata> {
    const url = metadataUrl(issuer);
    const { status, body } = await ask(url);
    if (status !== 200 || body === undefined) throw new Unavailable(`${url}: ${String(status)}`);
    // RFC 8414 §3.3: else another server could speak for it.
    if (body['issuer'] !== issuer) throw new Unavailable(`${url} is of another issuer`);
    return {
      jwks_uri: httpsUrl(body['jwks_uri']) ?? '',
      introspection_endpoint: httpsUrl(body['introspection_endpoint']),
    };
  }

  return {
    ask,
    async metadata() {
      if (failure !== undefined && Math.abs(now().getTime() - failure.at) < retryMs) {
        throw new Unavailable('the issuer could not be discovered', failure.error);
      }
      found ??= discover().catch((error: unknown) => {
        found = undefined;
        failure = { at: now().getTime(), error };
        throw error;
      });
      return found;
    },
  };
}

type IssuerSettings = Pick<Settings, 'issuer' | 'fetch' | 'timeoutMs' | 'now'>;

/** RFC 8414 §3.1: between host and path. */
function metadataUrl(issuer: string): string {
  const { origin, pathname } = new URL(issuer);
  const path = pathname === '/' ? '' : pathname;
  return `${origin}/.well-known/oauth-authorization-server${path}`;
}

function httpsUrl(value: unknown): string | undefined {
  const isHttps = typeof value === 'string' && URL.parse(value)?.protocol === 'https:';
  return isHttps ? value : undefined;
}

/** The value of `Authorization` (RFC 6749 §2.3.1: both parts are form-encoded before they are joined). */
export function basicAuthorization({ id, secret }: ApiClient): string {
  const encoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
  return `Basic ${Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString('base64')}`;
}

async function boundedText({ body }: Response): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > maxBytes) throw new RangeError(`more than ${String(maxBytes)} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function recordIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isRecord ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
