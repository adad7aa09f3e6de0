import type Koa from 'koa';
import mount from 'koa-mount';
import type Provider from 'oidc-provider';
import { withRememberedMetadata } from './discovery.ts';
import { createProvider } from './index.ts';
import type { ProviderDependencies } from './index.ts';
import { certificateRules } from './clients/certificates.ts';
import { issueMachineTokens } from './machine-tokens/machine-tokens.ts';
import type { SigningKey } from './ports.ts';
import { routes } from './routes.ts';
import { stepAt } from './steps.ts';
import { keyThatSigns, signMessage } from './tokens/signed-messages.ts';
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

  const sign = (message: OwnMessage) => signMessage(present, message);
  const machineTokens = issueMachineTokens({
    ...deps,
    certificateRules: certificateRules(deps),
    findClient: (id) => provider.Client.find(id),
    signs: (algorithm) => keyThatSigns(present, algorithm) !== undefined,
    sign,
  });
  const beforeEngine = stepAt([routes.token], machineTokens);

  return {
    middleware: (ctx, next) =>
      beforeEngine(ctx, () => mounted(ctx, next) as Promise<void>) as Promise<void>,
    current: () => provider,
    sign,
    replaceKeys(keys) {
      present = keys;
      provider = createProvider(keys, deps);
      mounted = withRememberedMetadata(mount(provider));
    },
  };
}
