import Provider, { errors } from 'oidc-provider';
import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import { Problem } from '../../problem.ts';
import type { Excess, Limits } from '../ports.ts';

/** Endpoints at which clients prove who they are. */
const proving = new Set(['token', 'introspection', 'revocation', 'pushed_authorization_request']);

/** The code of a refusal for being one too many; RFC 6749 has none. */
export const tooManyRequests = 'too_many_requests';

/** Answered with 429 (RFC 6585 §4). */
class TooManyRequests extends errors.OIDCProviderError {
  constructor() {
    super(429, tooManyRequests);
    this.error_description = 'too many requests, come back later';
  }
}

/** At the authorization endpoint RFC 6749 §4.1.2.1 has a code that tells the client. */
export function refuseExcess(ctx: KoaContextWithOIDC, excess: Excess): never {
  const isTold = ctx.oidc.route === 'authorization' || ctx.oidc.route === 'resume';
  if (isTold) throw new errors.TemporarilyUnavailable('too many requests, come back later');
  if (excess === 'temporarily_unavailable') throw new Problem(excess);
  throw new TooManyRequests();
}

/**
 * Counts requests for the client that they name, before it proves who it is: who can't prove it has it taken back. A
 * public client proves nothing, so others could use up its limit: it has none.
 */
export function limitClients(provider: Provider, limits: Pick<Limits, 'excess'>): void {
  const find = provider.Client.find.bind(provider.Client);

  Object.assign(provider.Client, {
    async find(id: string): Promise<Client | undefined> {
      const client = await find(id);
      const { ctx } = Provider;
      if (client === undefined || ctx === undefined || !isProving(ctx)) return client;
      if (client.clientAuthMethod === 'none') return client;
      const excess = await limits.excess('client', client.clientId);
      if (excess !== undefined) refuseExcess(ctx, excess);
      return client;
    },
  });
}

/** The first client that is looked for there is the one that asks. */
function isProving({ oidc }: KoaContextWithOIDC): boolean {
  return oidc.client === undefined && proving.has(oidc.route);
}
