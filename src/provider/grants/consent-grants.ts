import type Provider from 'oidc-provider';
import type { Adapter, Interaction, KoaContextWithOIDC } from 'oidc-provider';
import { errors, interactionPolicy } from 'oidc-provider';
import { Problem } from '../../problem.ts';
import { copyInto } from './grant-decisions.ts';
import type { EngineGrant } from './managed-id.ts';
import type { AuthorizationDetail } from '../ports.ts';
import { checkConsent, consentNaming, namesConsent } from '../requests/consent-requests.ts';
import { presentDetailsOf, withPresentDetails } from './present-details.ts';
import type { Consents, Share } from '../ports.ts';

/**
 * A grant under a consent stands while the consent is authorised: asked at each use and on every process, so that nothing
 * that was issued outlives it, whatever was being written at that moment.
 */
export function withConsents(kind: string, adapter: Adapter, consents: Consents): Adapter {
  if (kind !== 'Grant') return adapter;
  return {
    ...adapter,
    async find(id) {
      if (!consents.isId(id)) return adapter.find(id);
      const [grant, consent] = await Promise.all([adapter.find(id), consents.find(id)]);
      if (grant === undefined || consent?.state !== 'authorised') return undefined;
      const known = new Map([[id, consent]]);
      return 'rar' in grant ? withPresentDetails(grant, { consents, known }) : grant;
    },
  };
}

/** Authorization details (RFC 9396): each lodges a consent, or names one. */
export function authorizationDetailsShare(consents: Consents): Share {
  const type = {
    validate(_ctx: KoaContextWithOIDC, detail: Record<string, unknown>) {
      const fault = consents.faultOfDetail(detail);
      if (fault !== undefined) throw new errors.InvalidAuthorizationDetails(fault);
    },
  };
  return {
    features: {
      richAuthorizationRequests: {
        enabled: true,
        types: Object.fromEntries(consents.detailTypes.map((name) => [name, type])),
        // As the customer allowed it, with the accounts that they chose.
        authorizationDetailsForGrantSource: (ctx) => ctx.oidc.grant?.rar,
        authorizationDetailsForAccessToken(ctx, _token, source) {
          if (ctx.oidc.params?.['authorization_details'] === undefined) {
            return presentDetailsOf(ctx, source?.rar);
          }
          const why = 'what was allowed can not be narrowed here';
          throw new errors.InvalidAuthorizationDetails(why);
        },
        authorizationDetailsForIntrospection: (ctx, token) => presentDetailsOf(ctx, token.rar),
      },
    },
  };
}

/** When customers are asked because of a consent: always, also for one that they authorised before. */
export function addConsentChecks(
  prompts: interactionPolicy.DefaultPolicy,
  rules: { consents: Consents; required: boolean },
): void {
  const { Check } = interactionPolicy;
  const { consents } = rules;
  const mayGoOn = new Check('consent_unfit', 'the consent does not allow it', async (ctx) => {
    await checkConsent(ctx, rules);
    return false;
  });
  const isAsked = new Check(
    'consent_named',
    'the customer must decide about the consent',
    'consent_required',
    ({ oidc }) => namesConsent(oidc.params ?? {}) && oidc.result?.consent === undefined,
    async ({ oidc }) => ({ consentId: await consentOf(oidc, consents) }),
  );
  prompts.get('login')?.checks.add(mayGoOn, 0);
  prompts.get('consent')?.checks.add(isAsked, 0);
}

/** The consent that is named, or that is lodged now because the request itself asks for it. */
async function consentOf(
  { params, client }: KoaContextWithOIDC['oidc'],
  consents: Consents,
): Promise<string | undefined> {
  const { consentId, detail } = consentNaming(params ?? {});
  if (detail === undefined || client === undefined) return consentId;
  return consents.lodge(client.clientId, detail);
}

/** The consent that an interaction is about; undefined for requests without one. */
export function consentOfInteraction({ prompt }: Interaction): string | undefined {
  const { consentId } = prompt.details as { consentId?: string };
  return consentId;
}

interface Missing {
  missingOIDCScope?: string[];
  missingOIDCClaims?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

/** Adds what an interaction was about: what the request asks for and the grant did not give. */
export function addMissing(grant: EngineGrant, { prompt }: Pick<Interaction, 'prompt'>): void {
  const missing = prompt.details as Missing;
  if (missing.missingOIDCScope !== undefined) {
    grant.addOIDCScope(missing.missingOIDCScope.join(' '));
  }
  if (missing.missingOIDCClaims !== undefined) grant.addOIDCClaims(missing.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missing.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
}

/** A consent that its customer authorised. */
export interface ConsentAllowed {
  consentId: string;
  detail: AuthorizationDetail;
  /** The id under which the client manages the grant. */
  managedId: string | undefined;
  /** What the grant gave before and goes on giving. */
  kept?: EngineGrant | undefined;
}

/** Saves the one grant of a consent, which has the consent's id and exactly what this request asked for. */
export async function saveConsentGrant(
  provider: Provider,
  interaction: Interaction,
  allowed: ConsentAllowed,
): Promise<string> {
  const accountId = interaction.session?.accountId;
  if (accountId === undefined) {
    throw new Problem('interaction_not_found', { detail: 'no customer' });
  }
  const clientId = String(interaction.params['client_id']);
  const grant: EngineGrant = new provider.Grant({ accountId, clientId });
  grant.jti = allowed.consentId;
  grant.managedId = allowed.managedId;
  if (allowed.kept !== undefined) copyInto(grant, allowed.kept);
  addMissing(grant, interaction);
  if (interaction.params['authorization_details'] !== undefined) grant.addRar(allowed.detail);
  return grant.save();
}
