import type Koa from 'koa';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';

/** A grant of the engine. */
export type EngineGrant = InstanceType<Provider['Grant']> & {
  /** The id under which the client manages it; undefined where it does not. */
  managedId?: string | undefined;
};

/** Has the engine keep these with each grant: so a token response costs no look-up. */
export function keepManagedIds(provider: Provider): void {
  const kept = (provider.Grant as unknown as { IN_PAYLOAD: readonly string[] }).IN_PAYLOAD;
  Object.defineProperty(provider.Grant, 'IN_PAYLOAD', {
    value: [...kept, 'managedId'],
  });
}

/** The engine's grant with this id, if it stands. */
export async function findGrant(provider: Provider, id: string): Promise<EngineGrant | undefined> {
  return provider.Grant.find(id);
}

/** Adds `grant_id` to token responses ("Token Response"): to those of refreshes too. */
export const nameManagedGrant: Koa.Middleware = async (context, next) => {
  await next();
  const ctx = context as unknown as KoaContextWithOIDC;
  const { oidc } = ctx as Partial<KoaContextWithOIDC>;
  const { managedId } = (oidc?.entities.Grant ?? {}) as Partial<EngineGrant>;
  if (ctx.status !== 200 || managedId === undefined) return;
  ctx.body = { ...(ctx.body as object), grant_id: managedId };
};
