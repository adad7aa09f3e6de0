import type Koa from 'koa';
import type Provider from 'oidc-provider';
import type { AuditEntry } from '../../audit/events.ts';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import type { Consents, Recorder } from '../ports.ts';
import { grantsPath } from '../routes.ts';
import { authorizeClient } from './grant-access.ts';
import type { GrantAccess } from './grant-access.ts';
import { describeGrant } from './grant-description.ts';
import { grantScopes } from './grant-resource.ts';
import type { ManagedGrantStore } from './managed-grant-store.ts';
import { findStanding, ownMembers } from './standing-grant.ts';
import type { StandingGrant } from './standing-grant.ts';

interface Dependencies extends GrantAccess {
  provider: Provider;
  store: Pick<ManagedGrantStore, 'find' | 'end'>;
  consents: Consents;
  audit: Recorder;
  clock: Clock;
}

interface Call {
  clientId: string;
  id: string;
}

type Handle = (ctx: Koa.Context, call: Call, deps: Dependencies) => Promise<void>;

const methods: Readonly<Record<string, { scope: string; handle: Handle }>> = {
  GET: { scope: grantScopes.query, handle: query },
  DELETE: { scope: grantScopes.revoke, handle: revoke },
};

/** The grant management endpoint ("Grant Management API"): each grant below it, on both hosts. Everything else passes. */
export function grantManagement(deps: Dependencies): Koa.Middleware {
  return async (ctx, next) => {
    const id = idIn(ctx.path);
    if (id === undefined) {
      await next();
      return;
    }
    ctx.state['route'] = 'grants';
    ctx.set('Cache-Control', 'no-store');
    const method = Object.hasOwn(methods, ctx.method) ? methods[ctx.method] : undefined;
    if (method === undefined) {
      ctx.set('Allow', Object.keys(methods).join(', '));
      throw new Problem('method_not_allowed', { detail: ctx.method });
    }
    await answer(ctx, { id, ...method }, deps);
  };
}

async function answer(
  ctx: Koa.Context,
  { id, scope, handle }: { id: string; scope: string; handle: Handle },
  deps: Dependencies,
): Promise<void> {
  let clientId: string | undefined;
  try {
    clientId = await authorizeClient(ctx, deps, scope);
    await handle(ctx, { clientId, id }, deps);
  } catch (error) {
    // What is too much is told of once for all of it: rate_limit.exceeded.
    if (error instanceof Problem && error.code !== 'too_many_requests') {
      const detail = { method: ctx.method, error: error.code, reason: error.detail };
      deps.audit.record({
        ...entryOf(clientId),
        type: 'grant.refused',
        outcome: 'refused',
        detail,
      });
    }
    throw error;
  }
}

async function query(ctx: Koa.Context, call: Call, deps: Dependencies): Promise<void> {
  const standing = await ownGrant(call, deps);
  const description = describeGrant(standing, deps.consents);
  if (description === undefined) throw unknown('nothing of it stands');
  const { clientId, id } = call;
  const { customerId } = standing.managed;
  const parties = { ...entryOf(clientId), customerId };
  deps.audit.record({ ...parties, type: 'grant.read', outcome: 'success', detail: { grant: id } });
  ctx.body = description;
}

/** Consents first: if we are interrupted, the grant is there to be revoked again. */
async function revoke(ctx: Koa.Context, call: Call, deps: Dependencies): Promise<void> {
  const { clientId, id } = call;
  for (;;) {
    const { managed } = await ownGrant(call, deps);
    const members = await ownMembers(deps.provider, managed);
    const consents = members.filter((member) => deps.consents.isId(member));
    for (const consentId of consents) await deps.consents.revoke(clientId, consentId);
    if (!(await deps.store.end(managed, members))) continue; // it was changed, or ended, meanwhile
    const parties = { ...entryOf(clientId), customerId: managed.customerId };
    const detail = { grant: id, consents };
    deps.audit.record({ ...parties, type: 'grant.revoked', outcome: 'success', detail });
    ctx.status = 204;
    return;
  }
}

/** Foreign, ended and unknown grants are the same to the caller. */
async function ownGrant({ clientId, id }: Call, deps: Dependencies): Promise<StandingGrant> {
  const standing = await findStanding(deps.provider, id, deps);
  if (standing?.managed.clientId === clientId) return standing;
  const detail = standing === undefined ? 'there is none' : `it is of ${standing.managed.clientId}`;
  throw unknown(detail);
}

function unknown(detail: string): Problem {
  return new Problem('not_found', { detail });
}

function entryOf(clientId: string | undefined): Pick<AuditEntry, 'actor' | 'clientId'> {
  if (clientId === undefined) return { actor: { type: 'client' } };
  return { actor: { type: 'client', id: clientId }, clientId };
}

function idIn(path: string): string | undefined {
  return path.startsWith(`${grantsPath}/`) ? path.slice(grantsPath.length + 1) : undefined;
}
