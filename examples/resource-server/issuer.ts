import { createRemoteJWKSet, customFetch } from 'jose';
import type { JWTVerifyGetKey } from 'jose';

/** What a resource server asks of the authorization server. */
export interface Issuer {
  /** Its signing keys: fetched once, again after five minutes, and when a token names an unknown one. */
  keys: JWTVerifyGetKey;
  /** Whether a token is still good (RFC 7662). Rejects when there is no answer. */
  isActive: (token: string) => Promise<boolean>;
}

/** What the issuer's Cache-Control says; jose doesn't read it, and refetches for unknown keys every 30 s at most. */
const keysMaxAgeMs = 300_000;

/** How we authenticate where tokens are introspected. */
export interface IntrospectionClient {
  clientId: string;
  clientSecret: string;
}

/** Finds everything by discovery (RFC 8414), at the first request that needs it. */
export function connectIssuer(
  issuer: string,
  fetch: typeof globalThis.fetch,
  client: IntrospectionClient | undefined,
): Issuer {
  const discovered = once(() => discover(issuer, fetch));
  const keySet = once(async () => {
    const { jwks_uri: uri } = await discovered();
    return createRemoteJWKSet(new URL(uri), { cacheMaxAge: keysMaxAgeMs, [customFetch]: fetch });
  });
  return {
    keys: async (header, token) => (await keySet())(header, token),

    async isActive(token) {
      if (client === undefined) throw new Error('there is no client to introspect with');
      const { introspection_endpoint: endpoint } = await discovered();
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { authorization: basicAuthorization(client) },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      });
      if (response.status !== 200) throw new Error(`introspection: ${String(response.status)}`);
      return ((await response.json()) as { active?: unknown }).active === true;
    },
  };
}

interface Metadata {
  issuer: string;
  jwks_uri: string;
  introspection_endpoint: string;
}

async function discover(issuer: string, fetch: typeof globalThis.fetch): Promise<Metadata> {
  const response = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
  if (response.status !== 200) throw new Error(`discovery: ${String(response.status)}`);
  const metadata = (await response.json()) as Metadata;
  if (metadata.issuer !== issuer) throw new Error(`${issuer} calls itself ${metadata.issuer}`);
  return metadata;
}

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined. */
function basicAuthorization({ clientId, clientSecret }: IntrospectionClient): string {
  const encoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
  const credentials = `${encoded(clientId)}:${encoded(clientSecret)}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}

/** Remembers a success; a failure is tried again by whoever asks next. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () =>
    (loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    }));
}
