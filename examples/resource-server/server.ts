import { createHash, randomUUID } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import Router from '@koa/router';
import Koa from 'koa';
import { presentedToken, verifyAccessToken } from './access-token.ts';
import type { AccessTokenClaims, PresentedToken } from './access-token.ts';
import { createProofMemory, verifyProof } from './dpop-proof.ts';
import type { Proof } from './dpop-proof.ts';
import { connectIssuer } from './issuer.ts';
import type { IntrospectionClient, Issuer } from './issuer.ts';
import { challengeOf, Refusal } from './refusal.ts';

/** What the resource server needs to know. */
export interface ResourceServerOptions {
  /** The authorization server, exactly as its tokens name it in `iss`. */
  issuer: string;
  /** How tokens name us in `aud`; not necessarily where we listen. */
  identifier: string;
  /** Our certificate and key, and the authorities that our callers' certificates come from; PEM. */
  tls: { cert: string; key: string; ca: string };
  /** 0 lets the system choose. */
  port: number;
  /** Reaches the issuer; the global one unless given. */
  fetch?: typeof globalThis.fetch;
  /** With it every token is also introspected, so that a revoked one is refused at once. */
  introspection?: IntrospectionClient;
  now?: () => Date;
  /** Told of what is our fault. */
  onError?: (error: unknown) => void;
}

/** A resource server that listens. */
export interface RunningResourceServer {
  url: string;
  stop(): Promise<void>;
}

/** Starts the API. It terminates TLS itself, so the certificate of each caller is at hand. */
export async function startResourceServer(
  options: ResourceServerOptions,
): Promise<RunningResourceServer> {
  const handler = createHandler(options);
  const server = createServer(
    {
      ...options.tls,
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Callers without a certificate get an answer that says so; the token decides whether they need one.
      rejectUnauthorized: false,
    },
    (request, response) => void handler(request, response),
  );
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${String((server.address() as AddressInfo).port)}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function createHandler(options: ResourceServerOptions) {
  const guard = createGuard(options);
  const router = new Router();
  router.get('/accounts', guard('accounts'), (ctx) => {
    ctx.body = { accounts: accountsOf(ctx.state['token'] as AccessTokenClaims) };
  });
  router.post('/payments', guard('payments'), (ctx) => {
    ctx.status = 201;
    ctx.body = { paymentId: randomUUID(), status: 'received' };
  });
  const app = new Koa();
  app.use(refusals(options));
  app.use(router.routes()).use(router.allowedMethods());
  return app.callback();
}

function createGuard(options: ResourceServerOptions) {
  const { introspection, fetch = globalThis.fetch, now = () => new Date() } = options;
  const issuer = connectIssuer(options.issuer, fetch, introspection);
  const checks = { ...options, keys: issuer.keys, now };
  const rejectReplay = createProofMemory(now);

  return (scope: string): Koa.Middleware =>
    async function guard(ctx, next) {
      const presented = presentedToken(ctx.get('authorization') || undefined);
      const proof = await proofOf(ctx, presented, now);
      const sender = {
        certificate: certificateOf(ctx.req.socket),
        keyThumbprint: proof?.thumbprint,
      };
      const token = await verifyAccessToken(presented.token, sender, checks);
      if (proof !== undefined) rejectReplay(proof);
      if (introspection !== undefined) await rejectRevoked(issuer, presented.token);
      if (!token.scopes.includes(scope)) {
        throw new Refusal('insufficient_scope', 'the token is not for this', scope);
      }
      ctx.state['token'] = token;
      await next();
    };
}

/** The proof that comes with a DPoP token; a bearer token comes with none. */
async function proofOf(
  ctx: Koa.Context,
  { scheme, token }: PresentedToken,
  now: () => Date,
): Promise<Proof | undefined> {
  if (scheme === 'Bearer') return undefined;
  const { method, host, path } = ctx;
  return verifyProof(ctx.get('dpop'), { token, method, url: `https://${host}${path}`, now });
}

function certificateOf(socket: Socket): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

async function rejectRevoked(issuer: Issuer, token: string): Promise<void> {
  if (await issuer.isActive(token)) return;
  throw new Refusal('invalid_token', 'the token was revoked');
}

/** Answers refusals with a challenge. When we can't tell whether a token is good, nobody gets in: 503. */
function refusals({ identifier, onError }: ResourceServerOptions): Koa.Middleware {
  return async function answerRefusals(ctx, next) {
    ctx.set('Cache-Control', 'no-store');
    try {
      await next();
    } catch (error) {
      const isRefusal = error instanceof Refusal;
      if (isRefusal) ctx.set('WWW-Authenticate', challengeOf(error, identifier, schemeOf(ctx)));
      else onError?.(error);
      ctx.status = isRefusal ? error.status : 503;
      ctx.body = { error: isRefusal ? (error.code ?? 'unauthorized') : 'temporarily_unavailable' };
    }
  };
}

function schemeOf(ctx: Koa.Context): 'Bearer' | 'DPoP' {
  return /^dpop /i.test(ctx.get('authorization')) ? 'DPoP' : 'Bearer';
}

/** Other balances for each customer, and always the same. */
function accountsOf({ sub }: AccessTokenClaims) {
  const pence = createHash('sha256').update(sub).digest();
  const balance = (at: number) => (pence.readUInt32BE(at) / 256 / 100).toFixed(2);
  return [
    { accountId: 'current', holder: sub, currency: 'GBP', balance: balance(0) },
    { accountId: 'savings', holder: sub, currency: 'GBP', balance: balance(4) },
  ];
}
