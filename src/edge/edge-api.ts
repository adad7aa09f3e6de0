import type { IncomingMessage } from 'node:http';
import type Koa from 'koa';
import { failureOf } from '../http/failure.ts';
import { currentRequest } from '../observability/request-context.ts';
import type { Decision, EdgeRequest } from './decision.ts';
import type { EdgeCertificate } from './edge-ports.ts';
import { verifyPath } from './original-request.ts';
import { denied } from './refusals.ts';
import type { Nonces } from './resource-server/dpop-nonce.ts';
import { headerLines } from './resource-server/request.ts';
import type { EdgePolicy } from './route-policy.ts';

interface Dependencies {
  policy: Pick<EdgePolicy, 'proxy'>;
  decide: (request: EdgeRequest) => Promise<Decision>;
  /** Finds the certificate that the proxy tells of. Rejects with a Problem for one that can't be read. */
  certificateOf: (request: IncomingMessage) => Promise<EdgeCertificate | undefined>;
  nonces: Pick<Nonces, 'current'> | undefined;
  onDecision: (outcome: Decision['outcome']) => void;
}

/**
 * The step that answers proxies (NGINX `auth_request`, Traefik ForwardAuth, Envoy ext_authz): 200 with the caller's identity
 * in headers, or the refusal to pass on. Everything else passes.
 */
export function createEdgeStep(deps: Dependencies): Koa.Middleware {
  const { policy, decide, certificateOf, nonces } = deps;
  const isEnvoy = policy.proxy === 'envoy';

  async function decisionOf(ctx: Koa.Context): Promise<Decision> {
    const { req } = ctx;
    const lines = headerLines(req);
    const isFromProxy = currentRequest()?.proxied === true;
    try {
      return await decide({
        method: ctx.method,
        url: req.url ?? '',
        header: (name) => lines.get(name) ?? [],
        headerNames: [...lines.keys()],
        isFromProxy,
        certificate: isFromProxy ? await certificateOf(req) : undefined,
        address: currentRequest()?.address ?? ctx.ip,
      });
    } catch (error) {
      // What is wrong with the request itself, such as a certificate that can't be read.
      const { status, code } = failureOf(error, () => false);
      if (status >= 500) throw error;
      return denied(code);
    }
  }

  function isOurs(path: string): boolean {
    return path === verifyPath || (isEnvoy && path.startsWith(`${verifyPath}/`));
  }

  async function answerProxy(ctx: Koa.Context): Promise<void> {
    ctx.state['route'] = 'edge_verify';
    ctx.set('Cache-Control', 'no-store');
    const decision = await decisionOf(ctx);
    deps.onDecision(decision.outcome);
    if (nonces !== undefined && isDpop(ctx)) ctx.set('DPoP-Nonce', nonces.current());
    answer(ctx, decision, isEnvoy);
  }

  return (ctx, next) => (isOurs(ctx.path) ? answerProxy(ctx) : (next() as Promise<void>));
}

function answer(ctx: Koa.Context, decision: Decision, isEnvoy: boolean): void {
  const { res } = ctx;
  for (const [name, value] of Object.entries(decision.headers)) res.setHeader(name, value);
  if (decision.outcome === 'admitted') {
    // Envoy passes on what it is not told to overwrite.
    if (isEnvoy) ctx.set('X-Envoy-Auth-Headers-To-Remove', decision.absent.join(','));
    ctx.status = 200;
    ctx.body = '';
    return;
  }
  const request = currentRequest();
  if (request !== undefined) request.reason = decision.reason;
  ctx.status = decision.status;
  ctx.body = decision.body;
}

function isDpop(ctx: Koa.Context): boolean {
  return /^dpop /i.test(ctx.get('authorization'));
}
