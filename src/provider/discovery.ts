import { createHash } from 'node:crypto';
import type Koa from 'koa';
import { clientAlgorithms } from './requests/algorithms.ts';
import { clientAuthMethods, confidentialAuthMethods } from './clients/client-authentication.ts';
import { grantActions } from './grants/grant-request.ts';
import type { Share } from './ports.ts';
import { grantsPath, registrationPath, routes } from './routes.ts';

/** Endpoints that clients with certificates use on the mTLS host (RFC 8705 §5). */
const aliased = {
  pushed_authorization_request_endpoint: routes.pushed_authorization_request,
  token_endpoint: routes.token,
  revocation_endpoint: routes.revocation,
  introspection_endpoint: routes.introspection,
  userinfo_endpoint: routes.userinfo,
  grant_management_endpoint: grantsPath,
};

interface Dependencies {
  mtlsOrigin: string;
  issuer: string;
  /** Whether clients can register at all. */
  offersRegistration: boolean;
  /** Whether every authorization request must name a grant management action. */
  grantActionRequired: boolean;
}

/** Discovery members that oidc-provider does not make by itself. */
export function discoveryShare(deps: Dependencies): Share {
  const { mtlsOrigin, issuer, offersRegistration } = deps;
  const aliases = Object.entries(aliased).map(([name, path]) => [name, mtlsOrigin + path] as const);
  // Only there: who registers is known by a certificate.
  const registration = offersRegistration
    ? { registration_endpoint: mtlsOrigin + registrationPath }
    : {};
  return {
    discovery: {
      ...registration,
      grant_management_endpoint: issuer + grantsPath,
      grant_management_actions_supported: [...grantActions],
      grant_management_action_required: deps.grantActionRequired,
      mtls_endpoint_aliases: { ...Object.fromEntries(aliases), ...registration },
      // RFC 8414 §2: without them clients would believe that only client_secret_basic is good here.
      ...authenticationAt('revocation'),
      ...authenticationAt('introspection'),
    },
  };
}

function authenticationAt(endpoint: 'revocation' | 'introspection') {
  const methods = endpoint === 'revocation' ? clientAuthMethods : confidentialAuthMethods;
  return {
    [`${endpoint}_endpoint_auth_methods_supported`]: [...methods],
    [`${endpoint}_endpoint_auth_signing_alg_values_supported`]: [...clientAlgorithms],
  };
}

/** How long resource servers may keep the key set and clients the metadata, in seconds. */
const cacheSeconds = 300;

/** Documents that are the same for everybody, and what logs and metrics call them. */
const documents: Partial<Record<string, 'jwks' | 'discovery'>> = {
  [routes.jwks]: 'jwks',
  '/.well-known/openid-configuration': 'discovery',
  '/.well-known/oauth-authorization-server': 'discovery',
};

interface Document {
  body: Buffer;
  headers: readonly (readonly [string, string])[];
}

/**
 * Answers JWKS and discovery with what `engine` said the first time, with ETag, and 304 for who has it. Made anew with
 * every engine, so that other keys are announced at once.
 */
export function withRememberedMetadata(engine: Koa.Middleware): Koa.Middleware {
  const remembered = new Map<string, Document>();

  async function answer(ctx: Koa.ParameterizedContext, next: Koa.Next, route: string) {
    let document = remembered.get(ctx.path);
    if (document === undefined) {
      await engine(ctx, next);
      if (ctx.status !== 200) return;
      document = documentOf(ctx.body);
      remembered.set(ctx.path, document);
    }
    ctx.state['route'] = route;
    answerWith(ctx, document);
  }

  return function answerMetadata(ctx, next) {
    const route = documents[ctx.path];
    const isAsked = route !== undefined && (ctx.method === 'GET' || ctx.method === 'HEAD');
    return isAsked ? answer(ctx, next, route) : (engine(ctx, next) as Promise<void>);
  };
}

function documentOf(json: unknown): Document {
  const body = Buffer.from(JSON.stringify(json));
  const headers = {
    'Access-Control-Allow-Origin': '*',
    'Cache-Control': `public, max-age=${String(cacheSeconds)}`,
    ETag: `"${createHash('sha256').update(body).digest('base64url')}"`,
    'Content-Type': 'application/json; charset=utf-8',
  };
  return { body, headers: Object.entries(headers) };
}

function answerWith(ctx: Koa.Context, { body, headers }: Document): void {
  const { req, res } = ctx;
  res.removeHeader('Vary'); // the engine repeats Origin; to everybody it is the same
  for (const [name, value] of headers) res.setHeader(name, value);
  ctx.status = 200;
  ctx.body = body;
  if (req.headers['if-none-match'] === undefined || !ctx.fresh) return;
  ctx.status = 304;
  ctx.body = null;
}
