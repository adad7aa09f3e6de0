import type Koa from 'koa';
import mount from 'koa-mount';
import type Provider from 'oidc-provider';
import { withRememberedMetadata } from './discovery.ts';
import { createProvider } from './index.ts';
import type { ProviderDependencies } from './index.ts';
import type { SigningKey } from './ports.ts';
import { signMessage } from './tokens/signed-messages.ts';
import type { OwnMessage } from './tokens/signed-messages.ts';

/** The OpenID engine as one middleware whose signing keys can be exchanged while it runs. */
export interface Engine {
  middleware: Koa.Middleware;
  current(): Provider;
  /** Signs a token of another kind by the key that signs tokens; see {@link signMessage}. */
  sign(message: OwnMessage): Promise<string>;
  /** Goes on with other keys; requests that have begun finish with the old ones. */
  replaceKeys(signingKeys: readonly SigningKey[]): void;
}

/** An engine with `signingKeys`, of which the first one of an algorithm signs. */
export function createEngine(
  signingKeys: readonly SigningKey[],
  deps: ProviderDependencies,
): Engine {
  let present = signingKeys;
  let provider = createProvider(signingKeys, deps);
  let mounted = withRememberedMetadata(mount(provider));

  return {
    middleware: (ctx, next) => mounted(ctx, next) as Promise<void>,
    current: () => provider,
    sign: (message) => signMessage(present, message),
    replaceKeys(keys) {
      present = keys;
      provider = createProvider(keys, deps);
      mounted = withRememberedMetadata(mount(provider));
    },
  };
}
