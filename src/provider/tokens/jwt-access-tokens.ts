import type { JSONWebKeySet, JWTPayload } from 'jose';
import Provider from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Clock } from '../../clock.ts';
import { secondsFromNow } from '../../clock.ts';
import { createOwnJwtReader, unverifiedClaims } from './own-jwt.ts';
import type { SingleUseStore } from '../storage/single-use-store.ts';

/**
 * oidc-provider refuses JWTs at introspection and revocation ("structured tokens") before it looks for them. A token
 * that `unstructured.ts` marks with this prefix passes that check, and is looked up here.
 */
export const structuredTokenMark = 'jwt:';

/** Also unsigned or encrypted ones, which verify as little as any other foreign one. */
const compactJose = /^eyJ[\w-]*(?:\.[\w-]*){2,4}$/;

/** The JWT inside a marked or plain access token value; undefined for an opaque one. */
function jwtIn(value: string): string | undefined {
  const jwt = value.startsWith(structuredTokenMark)
    ? value.slice(structuredTokenMark.length)
    : value;
  return compactJose.test(jwt) ? jwt : undefined;
}

/** What the customer allowed, as far as its access tokens need it. */
interface StandingGrant {
  customerId: string;
  /** OpenID claims that were allowed one by one (OpenID Connect Core §5.5); the token opens them all at userinfo. */
  claims: readonly string[];
}

interface Dependencies {
  issuer: string;
  userinfoAudience: string;
  publicKeys: JSONWebKeySet;
  singleUse: SingleUseStore;
  clock: Clock;
  /** No access token lives longer: how long a revoked `jti` is remembered. */
  longestTtlSeconds: number;
  /** The grant of a token, if it still stands and the token's `jti` was not revoked. */
  standingGrant(grantId: string, jti: string): Promise<StandingGrant | undefined>;
}

/** Lets the adapter of a token kind find and revoke JWT access tokens, which are not stored, as if they were. */
export function withJwtAccessTokens(kind: string, adapter: Adapter, deps: Dependencies): Adapter {
  if (kind === 'RefreshToken') return withoutJwts(adapter);
  if (kind !== 'AccessToken' && kind !== 'ClientCredentials') return adapter;
  const read = createOwnJwtReader(deps);

  /** A customer's token names its grant, a client's own has none. */
  function isOfThisKind(claims: Record<string, unknown> | undefined): boolean {
    return (kind === 'AccessToken') === (claims?.['grant_id'] !== undefined);
  }

  async function findJwt(jwt: string): Promise<AdapterPayload | undefined> {
    // Asked for both kinds: the signature is looked at once.
    const claims = isOfThisKind(unverifiedClaims(jwt)) ? read(jwt) : undefined;
    if (claims === undefined || !isComplete(claims)) return undefined;
    const grantId = optionalString(claims['grant_id']);
    if (grantId === undefined) {
      const isRevoked = await deps.singleUse.isRevoked(claims.jti);
      return isRevoked ? undefined : asPayload(kind, claims);
    }
    const grant = await deps.standingGrant(grantId, claims.jti);
    if (grant === undefined) return undefined;
    return forPresentRoute(asPayload(kind, claims, grant), deps.userinfoAudience);
  }

  return {
    ...adapter,
    async find(id) {
      const jwt = jwtIn(id);
      if (jwt !== undefined) return findJwt(jwt);
      const stored = await adapter.find(id);
      return stored && forUserinfo(stored);
    },
    async destroy(id) {
      await adapter.destroy(id);
      await deps.singleUse.revokeToken(id, secondsFromNow(deps.clock, deps.longestTtlSeconds));
    },
  };
}

/** Refresh tokens are stored: what is a JWT need not be looked for. */
function withoutJwts(adapter: Adapter): Adapter {
  return {
    ...adapter,
    find: (id) => (jwtIn(id) === undefined ? adapter.find(id) : Promise.resolve(undefined)),
  };
}

/** RFC 9068 §2.2; by some of them something is looked up. */
function isComplete(claims: JWTPayload): claims is JWTPayload & { jti: string } {
  const { jti, aud, client_id: clientId, grant_id: grantId } = claims;
  return (
    typeof jti === 'string' &&
    aud !== undefined &&
    typeof clientId === 'string' &&
    isTextOrAbsent(grantId)
  );
}

/**
 * Userinfo is a resource of ours: it takes tokens that name it in `aud`, and oidc-provider wants them without `aud`
 * there.
 */
function forPresentRoute(payload: AdapterPayload, userinfo: string): AdapterPayload {
  if (!isAtUserinfo() || ![payload.aud ?? []].flat().includes(userinfo)) return payload;
  return { ...payload, aud: undefined };
}

/** An opaque token has one audience; that it opens userinfo as well is what its scope says. */
function forUserinfo(stored: AdapterPayload): AdapterPayload {
  if (!isAtUserinfo() || stored.scope?.split(' ').includes('openid') !== true) return stored;
  return { ...stored, aud: undefined };
}

function isAtUserinfo(): boolean {
  return Provider.ctx?.oidc.route === 'userinfo';
}

function asPayload(kind: string, claims: JWTPayload, grant?: StandingGrant): AdapterPayload {
  const { cnf, acr, amr, auth_time: authTime } = claims as Claims;
  return {
    kind,
    jti: claims.jti,
    iat: claims.iat,
    exp: claims.exp,
    aud: claims.aud,
    clientId: optionalString(claims['client_id']),
    scope: optionalString(claims['scope']),
    grantId: optionalString(claims['grant_id']),
    accountId: grant?.customerId,
    claims: { userinfo: Object.fromEntries((grant?.claims ?? []).map((name) => [name, null])) },
    'x5t#S256': cnf?.['x5t#S256'],
    jkt: cnf?.jkt,
    rar: claims['authorization_details'] as AdapterPayload['rar'],
    extra: withoutUndefined({
      grant_id: claims['grant_id'],
      consent_id: claims['consent_id'],
      ...{ acr, amr, auth_time: authTime },
    }),
  };
}

type Claims = JWTPayload & {
  cnf?: { 'x5t#S256'?: string; jkt?: string };
  acr?: string;
  amr?: string[];
  auth_time?: number;
};

function withoutUndefined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function optionalString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
