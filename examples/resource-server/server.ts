import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import Router from '@koa/router';
import { createResourceServer } from 'countersign/resource-server';
import type { AccessToken, Requirement, ResourceServerOptions } from 'countersign/resource-server';
import Koa from 'koa';
import type { Bank } from './bank/bank.ts';
import { checkOwnership, Denied, mandateOf, orderIn, orderUnder } from './mandate.ts';
import { createConsumption, createPayments } from './payments.ts';
import type { Payments } from './payments.ts';
import { readJson } from './read-json.ts';

/** What the sample bank's API needs to know. */
export interface ApiOptions {
  /** The authorization server, exactly as its tokens name it in `iss`. */
  issuer: string;
  /** How tokens name us in `aud`; not necessarily where we listen. */
  identifier: string;
  /** Our certificate and key, and the authorities that our callers' certificates come from; PEM. */
  tls: { cert: string; key: string; ca: string };
  /** 0 lets the system choose. */
  port: number;
  /** How we authenticate at the authorization server, to ask for consents. */
  client: { id: string; secret: string };
  bank: Bank;
  /** Reaches the issuer; the global one unless given. */
  fetch?: typeof globalThis.fetch;
  /** With it every token is also introspected, so that a revoked one is refused within a second. */
  introspect?: boolean;
  /** Tokens that are bound to nothing: refused unless said otherwise. */
  unboundTokens?: ResourceServerOptions['unboundTokens'];
  /** Milliseconds after which payments that were left in the middle are taken up again; 30,000 unless said. */
  resumeMs?: number;
  now?: () => Date;
  /** Told of what is our fault. */
  onError?: (error: unknown) => void;
  /** Other layers than the usual ones. */
  layers?: Partial<Layers>;
}

/** The layers above the database. */
export interface Layers {
  /** Token, binding, scope and consent. */
  guard: (requirement: Requirement) => Koa.Middleware;
  /** Object ownership; throws {@link Denied}. */
  checkOwnership: typeof checkOwnership;
}

/** An API that listens. */
export interface RunningApi {
  url: string;
  stop(): Promise<void>;
}

/** Starts the API. It terminates TLS itself, so the certificate of each caller is at hand. */
export async function startApi(options: ApiOptions): Promise<RunningApi> {
  const { bank, fetch = globalThis.fetch } = options;
  const payments = createPayments(bank, createConsumption({ ...options, fetch }));
  const handler = createHandler(options, payments);
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
  const resuming = keepResuming(payments, options);
  return {
    url: `https://localhost:${String((server.address() as AddressInfo).port)}`,
    async stop() {
      clearInterval(resuming);
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Now, for what a crash has left, and from time to time, for what nobody answered. */
function keepResuming(payments: Payments, { resumeMs = 30_000, onError }: ApiOptions) {
  const resume = () => void payments.resume().catch((error: unknown) => onError?.(error));
  resume();
  return setInterval(resume, resumeMs).unref();
}

const tokenOf = (ctx: Koa.Context) => (ctx.state as { token: AccessToken }).token;

/** Each request passes the layers in this order: token, binding, scope, consent, ownership, and the rows themselves. */
function createHandler(options: ApiOptions, payments: Payments) {
  const router = new Router();
  const layers = { guard: createGuard(options), checkOwnership, ...options.layers };
  addAccounts(router, options.bank, layers);
  addPayments(router, payments, layers);
  const app = new Koa();
  app.use(refusals(options));
  app.use(router.routes()).use(router.allowedMethods());
  return app.callback();
}

function addAccounts(router: Router, bank: Bank, { guard, ...layers }: Layers): void {
  router.get('/accounts', guard({ scope: 'accounts' }), async (ctx) => {
    ctx.body = { accounts: await bank.accounts(mandateOf(tokenOf(ctx))) };
  });

  const ofAccount = guard({ scope: 'accounts', consent: 'required' });

  router.get('/accounts/:accountId/balances', ofAccount, async (ctx) => {
    const accountId = ctx.params['accountId'] ?? '';
    const token = tokenOf(ctx);
    layers.checkOwnership(token, accountId, 'balances');
    const balance = await bank.balance(mandateOf(token), accountId);
    if (balance === undefined) throw new Denied(404, 'account_not_found');
    ctx.body = { balances: [balance] };
  });

  router.get('/accounts/:accountId/transactions', ofAccount, async (ctx) => {
    const accountId = ctx.params['accountId'] ?? '';
    const token = tokenOf(ctx);
    layers.checkOwnership(token, accountId, 'transactions');
    ctx.body = { transactions: await bank.transactions(mandateOf(token), accountId) };
  });
}

function addPayments(router: Router, payments: Payments, { guard }: Layers): void {
  router.post('/payments', guard({ scope: 'payments', consent: 'required' }), async (ctx) => {
    const token = tokenOf(ctx);
    const ordered = orderIn(await readJson(ctx));
    const payment = await payments.make(mandateOf(token), orderUnder(token, ordered));
    if (payment.status === 'rejected') throw new Denied(409, 'consent_used');
    ctx.status = 201;
    ctx.body = payment;
  });
}

function createGuard(options: ApiOptions): Layers['guard'] {
  const { issuer, identifier, client, unboundTokens, now, onError, fetch } = options;
  const api = createResourceServer({
    ...{ issuer, audience: identifier, client, consents: true },
    introspection: options.introspect === true ? 'always' : 'opaque',
    ...(unboundTokens && { unboundTokens }),
    ...(fetch && { fetch }),
    ...(now && { now }),
    ...(onError && { onError }),
  });
  return (requirement) => api.koa(requirement);
}

/** When we can't tell whether something may be done, it is not done: 503. */
function refusals({ onError }: ApiOptions): Koa.Middleware {
  return async function answerRefusals(ctx, next) {
    ctx.set('Cache-Control', 'no-store');
    try {
      await next();
    } catch (error) {
      const isDenied = error instanceof Denied;
      if (!isDenied) onError?.(error);
      ctx.status = isDenied ? error.status : 503;
      ctx.body = { error: isDenied ? error.code : 'temporarily_unavailable' };
    }
  };
}
