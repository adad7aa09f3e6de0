import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type Router from '@koa/router';
import type Koa from 'koa';
import type { Clock } from '../clock.ts';
import { currentRequest } from '../observability/request-context.ts';
import { createProofJudge } from '../security/dpop-proof.ts';

/** Where the demo resource is, on both hosts; below it a path segment names the scope that is needed. */
const demoResourcePath = '/development/resource';

/** An access token that is good at this moment. */
interface CurrentToken {
  clientId: string;
  customerId: string | undefined;
  scopes: readonly string[];
  audiences: readonly string[];
  expiresAt: number;
  certificateThumbprint: string | undefined;
  keyThumbprint: string | undefined;
}

/** What the demo resource needs of the server. */
export interface DemoResourceParts {
  issuer: string;
  mtlsOrigin: string;
  /** Undefined for tokens that are expired, revoked, unknown or of somebody who is gone. */
  findAccessToken: (token: string) => Promise<CurrentToken | undefined>;
  certificateOf: (request: IncomingMessage) => { thumbprint: string } | undefined;
  firstUse: (use: { issuer: string; jti: string; expiresAt: Date }) => Promise<boolean>;
  nonceRequired: boolean;
  clock: Clock;
}

/** A request that is answered with a challenge (RFC 6750 §3.1, RFC 9449 §7.1). */
interface Refused {
  status: 400 | 401 | 403;
  /** None where there was no token: such a caller is only told what to bring. */
  error?: string;
  description: string;
  scope?: string;
}

type Judged = { token: CurrentToken } | { refused: Refused };

/**
 * A protected resource for trying clients and for black-box tests, in development only: checks the token, its binding to
 * the sender, and its scope, and answers what the token says. No audience is asked for: every API's token is taken.
 */
export function addDemoResource(router: Router, parts: DemoResourceParts): void {
  const proofs = createProofJudge({
    ...parts,
    name: 'demo resource',
    nonceSecret: randomBytes(32),
    olderNonceSecrets: [],
  });

  async function judge(ctx: Koa.Context, scope: string | undefined): Promise<Judged> {
    const presented = presentedIn(ctx.get('authorization'));
    if ('refused' in presented) return presented;
    const token = await parts.findAccessToken(presented.value);
    if (token === undefined) return invalidToken('it is expired, revoked or not ours');
    const bound = await bindingFault(ctx, presented, token);
    if (bound !== undefined) return { refused: bound };
    if (scope !== undefined && !token.scopes.includes(scope)) {
      const description = 'the token lacks the scope';
      return { refused: { status: 403, error: 'insufficient_scope', description, scope } };
    }
    return { token };
  }

  async function bindingFault(
    ctx: Koa.Context,
    { isDpop, value }: Presented,
    token: CurrentToken,
  ): Promise<Refused | undefined> {
    const { keyThumbprint } = token;
    const why = certificateFault(token, parts.certificateOf(ctx.req)?.thumbprint);
    if (why !== undefined) return unauthorized('invalid_token', why);
    if (isDpop !== (keyThumbprint !== undefined)) {
      return unauthorized('invalid_token', 'the scheme does not fit the binding of the token');
    }
    if (!isDpop) return undefined;
    // The Host header is the public one by now, whichever host was called.
    const origin = currentRequest()?.listener === 'mtls' ? parts.mtlsOrigin : parts.issuer;
    const request = { method: ctx.method, url: origin + ctx.path };
    const judged = await proofs.judge(ctx.get('dpop'), { ...request, accessToken: value });
    if ('error' in judged) return unauthorized(judged.error, judged.description);
    if (judged.keyThumbprint === keyThumbprint) return undefined;
    return unauthorized('invalid_token', 'it is bound to another key than that of the proof');
  }

  async function answer(ctx: Koa.Context, scope: string | undefined): Promise<void> {
    ctx.state['route'] = 'development_resource';
    ctx.set('Cache-Control', 'no-store');
    ctx.set('x-fapi-interaction-id', interactionId(ctx.get('x-fapi-interaction-id')));
    const judged = await judge(ctx, scope);
    if (/^dpop /i.test(ctx.get('authorization'))) ctx.set('DPoP-Nonce', proofs.nonce());
    if ('refused' in judged) refuse(ctx, judged.refused);
    else ctx.body = factsOf(judged.token);
  }

  router.get(demoResourcePath, (ctx) => answer(ctx, undefined));
  router.get(`${demoResourcePath}/:scope`, (ctx) => answer(ctx, ctx.params['scope']));
}

interface Presented {
  isDpop: boolean;
  value: string;
}

/** Tokens come in the header alone (FAPI 2.0 §5.3.4): neither in the query nor in a form. */
function presentedIn(authorization: string): Presented | { refused: Refused } {
  if (!/^(?:bearer|dpop)(?: |$)/i.test(authorization)) {
    return { refused: { status: 401, description: 'there is no token' } };
  }
  const value = /^[a-z]+ +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
  if (value !== undefined) return { isDpop: /^dpop/i.test(authorization), value };
  const description = 'the Authorization header is malformed';
  return { refused: { status: 400, error: 'invalid_request', description } };
}

function certificateFault(
  { certificateThumbprint: bound }: CurrentToken,
  shown: string | undefined,
): string | undefined {
  if (bound === undefined || bound === shown) return undefined;
  const what = shown === undefined ? 'no certificate' : 'another certificate';
  return `it is bound, and ${what} was presented`;
}

function invalidToken(description: string): { refused: Refused } {
  return { refused: unauthorized('invalid_token', description) };
}

function unauthorized(error: string, description: string): Refused {
  return { status: 401, error, description };
}

function refuse(ctx: Koa.Context, { status, error, description, scope }: Refused): void {
  const request = currentRequest();
  if (request !== undefined) request.reason = description;
  const parameters = [
    'realm="demo resource"',
    ...(error === undefined ? [] : [`error="${error}"`, `error_description="${description}"`]),
    ...(scope === undefined ? [] : [`scope="${scope}"`]),
  ].join(', ');
  const dpop = `DPoP ${parameters}, algs="PS256 ES256 EdDSA"`;
  const isDpop = /^dpop /i.test(ctx.get('authorization'));
  const challenges = { DPoP: [dpop], Bearer: [`Bearer ${parameters}`] };
  ctx.status = status;
  ctx.set(
    'WWW-Authenticate',
    error === undefined
      ? [...challenges.Bearer, ...challenges.DPoP]
      : challenges[isDpop ? 'DPoP' : 'Bearer'],
  );
  // RFC 6750 §3.1: who brought no token is told no error.
  ctx.body = { ...(error === undefined ? {} : { error }), error_description: description };
}

function factsOf(token: CurrentToken): Record<string, unknown> {
  const { certificateThumbprint, keyThumbprint } = token;
  return {
    client_id: token.clientId,
    sub: token.customerId ?? token.clientId,
    scope: token.scopes.join(' '),
    aud: token.audiences,
    exp: token.expiresAt,
    cnf: {
      ...(certificateThumbprint === undefined ? {} : { 'x5t#S256': certificateThumbprint }),
      ...(keyThumbprint === undefined ? {} : { jkt: keyThumbprint }),
    },
  };
}

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** The caller's, or one of ours (FAPI 1.0 §6.2.1-11, which open banking kept). */
function interactionId(sent: string): string {
  return uuid.test(sent) ? sent : randomUUID();
}
