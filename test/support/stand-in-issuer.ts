import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import type { Clock } from '../../src/clock.ts';
import { epochSeconds } from '../../src/clock.ts';
import { createResourceServer } from '../../src/edge/resource-server/resource-server.ts';
import type {
  ProtectedRequest,
  Requirement,
  ResourceServerOptions,
} from '../../src/edge/resource-server/resource-server.ts';

export const issuer = 'https://as.bank.example';
export const audience = 'https://api.bank.example';

interface IssuerKey {
  alg: string;
  kid: string;
  privateKey: CryptoKey;
  jwk: JWK;
}

export type IssuerAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA' | 'ES384';

/** What the issuer answers at a path; a function may look at the request. */
type Answers = Record<string, (init: RequestInit | undefined) => Response>;

/** A clock that a test moves. */
export interface MovableClock extends Clock {
  advance(seconds: number): void;
}

export function movableClock(): MovableClock {
  let milliseconds = Date.UTC(2026, 0, 5, 9);
  return {
    now: () => new Date(milliseconds),
    advance(seconds) {
      milliseconds += seconds * 1000;
    },
  };
}

/**
 * An issuer that answers within the process, so that a test can have it rotate keys, fall silent, and lie. Its tokens are
 * really signed.
 */
export async function standInIssuer(clock: Clock, algorithms: readonly IssuerAlgorithm[]) {
  const keys: IssuerKey[] = await Promise.all(algorithms.map(newKey));
  const asked: string[] = [];
  const state = { isDown: false, cacheControl: 'public, max-age=300', published: keys };
  const metadata: Record<string, unknown> = {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    introspection_endpoint: `${issuer}/introspect`,
  };
  const answers: Answers = {
    '/.well-known/oauth-authorization-server': () => Response.json(metadata),
    '/jwks': () =>
      Response.json(
        { keys: state.published.map(({ jwk }) => jwk) },
        { headers: { 'cache-control': state.cacheControl } },
      ),
  };

  function answer(url: string, init: RequestInit | undefined): Response {
    const { pathname } = new URL(url);
    asked.push(pathname);
    if (state.isDown) throw new TypeError('fetch failed');
    return answers[pathname]?.(init) ?? new Response('', { status: 404 });
  }

  /** A token of the issuer; undefined leaves a claim out. */
  function token(
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
    key = keys[0],
  ): Promise<string> {
    if (key === undefined) throw new Error('no key');
    const now = epochSeconds(clock);
    const times = { iat: now, exp: now + 300 };
    const names = { iss: issuer, aud: audience, sub: 'casey', client_id: 'tpp', scope: 'accounts' };
    return new SignJWT({ ...times, ...names, jti: randomUUID(), ...claims })
      .setProtectedHeader({ typ: 'at+jwt', alg: key.alg, kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  return {
    keys,
    state,
    metadata,
    answers,
    asked,
    token,
    newKey,
    /** How often a path was asked. */
    count: (path: string) => asked.filter((one) => one === path).length,
    fetch: (url: string, init?: RequestInit) =>
      new Promise<Response>((resolve) => {
        resolve(answer(url, init));
      }),
  };
}

export type StandInIssuer = Awaited<ReturnType<typeof standInIssuer>>;

async function newKey(alg: IssuerAlgorithm): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = randomUUID();
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** A request as the middleware sees it. */
export function requestWith(
  headers: Record<string, string | readonly string[]>,
  more: Partial<ProtectedRequest> = {},
): ProtectedRequest {
  return {
    method: 'GET',
    target: '/accounts',
    header: (name) => [headers[name] ?? []].flat(),
    certificate: undefined,
    ...more,
  };
}

/** What an API that is protected with these options answers: `error`, status and challenges, or the token. */
export function protectedApi(
  world: StandInIssuer,
  clock: Clock,
  options: Partial<ResourceServerOptions> = {},
) {
  const errors: unknown[] = [];
  const api = createResourceServer({
    ...{ issuer, audience, unboundTokens: 'accept', fetch: world.fetch },
    now: () => clock.now(),
    onError: (error) => errors.push(error),
    ...options,
  });

  async function ask(request: ProtectedRequest, requirement: Requirement = {}) {
    const verdict = await api.judge(request, requirement);
    if ('token' in verdict) return { status: 200, ...verdict };
    const { status, headers, body } = verdict.refusal;
    const challenges = [headers['www-authenticate'] ?? []].flat();
    return { status, error: body?.['error'], headers, challenges };
  }

  return {
    api,
    errors,
    ask,
    bearer: (token: string, requirement?: Requirement, more?: Partial<ProtectedRequest>) =>
      ask(requestWith({ authorization: `Bearer ${token}` }, more), requirement),
  };
}
