import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { signsMessages } from './requests/security-profile.ts';

/** Events that oidc-provider sends between an error at the authorization endpoint and its answer. */
const events = ['authorization.error', 'server_error'] as const;

/**
 * Has clients that are held to FAPI 2.0 Message Signing get errors signed too (§5.4.1): to a pushed and signed request
 * as a JWT, to any other not at all, for its `state` and `response_mode` are anybody's. Then the customer sees our page.
 */
export function signErrors(provider: Provider): void {
  const emitter: NodeJS.EventEmitter = provider;
  for (const event of events) emitter.on(event, signError);
}

function signError(ctx: KoaContextWithOIDC, error: { allow_redirect?: boolean }): void {
  // Early failures come before oidc-provider has a context.
  const { oidc } = ctx as Partial<KoaContextWithOIDC>;
  if (oidc === undefined || !signsMessages(oidc.client)) return;
  const { trusted } = oidc as unknown as { trusted?: readonly string[] };
  if (trusted === undefined || trusted.length === 0) {
    error.allow_redirect = false;
    return;
  }
  const mode = oidc.params?.['response_mode'];
  if (oidc.params !== undefined && !String(mode).endsWith('jwt')) {
    oidc.params['response_mode'] = 'jwt';
  }
}
