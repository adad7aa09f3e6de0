import { plainName } from './plain-name.ts';

/** Who calls, as the servers behind the edge are told. */
export interface Identity {
  /** Undefined where no customer took part. */
  customerId: string | undefined;
  /** Undefined for keys of operators. */
  clientId: string | undefined;
  scopes: readonly string[];
  consentId: string | undefined;
  /** Unix time in seconds. */
  expiresAt: number;
  apiKeyId: string | undefined;
}

type Reader = (identity: Identity) => string | undefined;

const readers = {
  'X-User-ID': ({ customerId }) => customerId,
  'X-Client-ID': ({ clientId }) => clientId,
  'X-Scopes': ({ scopes }) => scopes.join(' '),
  'X-Consent-ID': ({ consentId }) => consentId,
  'X-Token-Expires': ({ expiresAt }) => String(expiresAt),
  'X-API-Key-ID': ({ apiKeyId }) => apiKeyId,
} as const satisfies Record<string, Reader>;

/** With each name as it is told, and in lower case. */
const named = Object.entries<Reader>(readers).map(
  ([name, read]) => [name, name.toLowerCase(), read] as const,
);

/** `X-Request-ID` is in every answer of the server. */
const names = new Set([...named.map(([, lowerCase]) => lowerCase), 'x-request-id']);

/** What an admitted request is told by; the second are headers that have nothing to say. */
export function identityHeaders(identity: Identity): {
  headers: Record<string, string>;
  absent: string[];
} {
  const headers: Record<string, string> = {};
  const absent: string[] = [];
  for (const [name, lowerCase, read] of named) {
    const value = read(identity);
    if (value === undefined || value === '') absent.push(lowerCase);
    else headers[name] = value;
  }
  return { headers, absent };
}

/**
 * The name of a header that a server behind the edge could take for one of these: CGI and WSGI make the same of `X_User_ID`,
 * `X.User.ID` and `X-User-ID`. The proxy overwrites the plain ones.
 */
export function lookAlike(headerNames: readonly string[]): string | undefined {
  return headerNames.find((name) => {
    const plain = plainName(name);
    return plain !== undefined && names.has(plain);
  });
}
