import type Koa from 'koa';
import mount from 'koa-mount';
import type { JWK } from 'jose';
import type Provider from 'oidc-provider';
import { withRememberedMetadata } from './discovery.ts';
import { createProvider } from './index.ts';
import type { ProviderDependencies } from './index.ts';

/** The OpenID engine as one middleware whose signing keys can be exchanged while it runs. */
export interface Engine {
  middleware: Koa.Middleware;
  current(): Provider;
  /** Goes on with other keys; requests that have begun finish with the old ones. */
  replaceKeys(privateKeys: readonly JWK[]): void;
}

/** An engine with `privateKeys`, of which the first one of an algorithm signs. */
export function createEngine(privateKeys: readonly JWK[], deps: ProviderDependencies): Engine {
  let provider = createProvider(privateKeys, deps);
  let mounted = withRememberedMetadata(mount(provider));

  return {
    middleware: (ctx, next) => mounted(ctx, next) as Promise<void>,
    current: () => provider,
    replaceKeys(keys) {
      provider = createProvider(keys, deps);
      mounted = withRememberedMetadata(mount(provider));
    },
  };
}
