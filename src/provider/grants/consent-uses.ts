import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Consents } from '../ports.ts';
import { isActiveAnswer } from '../tokens/signed-introspection.ts';

type UsedConsents = Pick<Consents, 'isId' | 'used'>;

/** Tells of each consent under which a token is issued. */
export function noteConsentUses(provider: Provider, consents: UsedConsents): void {
  provider.on('grant.success', ({ oidc }) => {
    const grantId = oidc.entities.AccessToken?.grantId;
    if (consents.isId(grantId)) consents.used(grantId);
  });
}

/** Tells of the consent whose token a resource server asked about, which it does when it is shown one. */
export function noteIntrospectedConsent(ctx: KoaContextWithOIDC, consents: UsedConsents): void {
  if (ctx.oidc.route !== 'introspection' || !isActiveAnswer(ctx.body)) return;
  const grantId = ctx.oidc.entities.AccessToken?.grantId;
  if (consents.isId(grantId)) consents.used(grantId);
}
