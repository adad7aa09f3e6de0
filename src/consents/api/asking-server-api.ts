import type Koa from 'koa';
import { basicIn } from '../../http/credentials.ts';
import { Problem } from '../../problem.ts';
import type { Consent } from '../consent-codec.ts';
import type { AskingServer, AuthenticateServer, ClientMay } from '../consent-ports.ts';
import type { ConsentStore } from '../consent-store.ts';
import type { Faulty } from './consent-requests-api.ts';
import { regimes } from '../regimes/regimes.ts';

/** What tells who asks, and whether they may. */
export interface AskingParts {
  consents: Pick<ConsentStore, 'find' | 'history'>;
  authenticate: AuthenticateServer;
  clientMay: ClientMay;
}

/** Answers a resource server, or says what is wrong; Problems invalid_token, consent_not_found, method_not_allowed, its own. */
export type AnswerServer = (ctx: Koa.Context, id: string) => Promise<Faulty | undefined>;

/** A consent, and the resource server that may know of it. */
export interface AskedConsent {
  consent: Consent;
  server: AskingServer;
}

/** Problem('method_not_allowed') for all methods but these. */
export function allowMethods(ctx: Koa.Context, ...methods: readonly string[]): void {
  if (methods.includes(ctx.method)) return;
  ctx.set('Allow', methods.join(', '));
  throw new Problem('method_not_allowed', { detail: ctx.method });
}

/** The resource server authenticates as at introspection. Problems invalid_token, consent_not_found. */
export async function askedConsent(
  ctx: Koa.Context,
  id: string,
  parts: AskingParts,
): Promise<AskedConsent> {
  const server = await parts.authenticate(ctx.req, basicIn(ctx));
  if (server === undefined) throw new Problem('invalid_token', { detail: 'no resource server' });
  const consent = await parts.consents.find(id);
  if (consent === undefined || !(await mayKnow(server, consent, parts))) {
    throw new Problem('consent_not_found', { detail: `asked by ${server.identifier}` });
  }
  return { consent, server };
}

/** A resource server learns of consents to what it has itself, of clients that may have tokens for it. */
async function mayKnow(
  { identifier, scopes }: AskingServer,
  { id, clientId, regime, type, state }: Consent,
  { clientMay, consents }: AskingParts,
): Promise<boolean> {
  const scope = regimes[regime].scopes[type];
  if (!scopes.includes(scope)) return false;
  if (await clientMay(clientId, identifier, scope)) return true;
  // Whoever used it up makes the payment, also when the client is gone meanwhile.
  if (state !== 'consumed') return false;
  const history = await consents.history(id);
  return history.some(({ move, by }) => move === 'consume' && by.id === identifier);
}
