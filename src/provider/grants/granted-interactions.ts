import type Provider from 'oidc-provider';
import type { Interaction, InteractionResults } from 'oidc-provider';
import { Problem } from '../../problem.ts';
import type { ArtifactAdapter } from '../storage/artifact-store.ts';
import { addMissing, consentOfInteraction, saveConsentGrant } from './consent-grants.ts';
import type { AuthorizationDetail } from '../ports.ts';
import type { GrantDecisions } from './grant-decisions.ts';
import { wishIn } from './grant-request.ts';
import { findGrant } from './managed-id.ts';
import type { EngineGrant } from './managed-id.ts';
import { grantIdRefusal } from './wish-checks.ts';

interface Ground {
  provider: Provider;
  grants: GrantDecisions;
}

/** A grant with all that is missing: of its own where the client manages it, else that of this session and client. */
export async function grantScopes(
  interaction: Interaction,
  { provider, grants }: Ground,
): Promise<InteractionResults> {
  const wish = wishIn(interaction.params);
  if (wish === undefined) {
    return { consent: { grantId: await saveSessionGrant(provider, interaction) } };
  }
  const decision = { provider, wish, owner: ownerOf(interaction) };
  const grantId = await grants.allowScopes(decision, (grant) => {
    addMissing(grant, interaction);
  });
  return grantId === undefined ? grantIdRefusal : { consent: { grantId } };
}

/** The consent is moved first: a grant without it stands for nothing. */
export async function grantUnderConsent(
  interaction: Interaction,
  { provider, grants, authorise }: Ground & { authorise: () => Promise<AuthorizationDetail> },
): Promise<InteractionResults> {
  const consentId = consentOfInteraction(interaction);
  if (consentId === undefined) throw new Problem('interaction_used', { detail: 'no consent' });
  const wish = wishIn(interaction.params);
  const owner = ownerOf(interaction);
  if (wish !== undefined && !(await grants.isPossible({ wish, owner }))) return grantIdRefusal;
  const allowed = { consentId, detail: await authorise() };
  if (wish === undefined) {
    const managedId = (await findGrant(provider, consentId))?.managedId;
    const grantId = await saveConsentGrant(provider, interaction, { ...allowed, managedId });
    return { consent: { grantId } };
  }
  const decision = { provider, wish, owner };
  const grantId = await grants.allowConsent(decision, {
    id: consentId,
    save: (managedId, kept) =>
      saveConsentGrant(provider, interaction, { ...allowed, managedId, kept }),
  });
  return grantId === undefined ? grantIdRefusal : { consent: { grantId } };
}

/** The grant of this session and client with what is missing added, or a new one where none stands. */
async function saveSessionGrant(provider: Provider, interaction: Interaction): Promise<string> {
  const existing =
    interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  if (existing !== undefined) {
    addMissing(existing, interaction);
    if (await saveStanding(existing)) return existing.jti;
  }
  const { clientId, customerId: accountId } = ownerOf(interaction);
  const grant = new provider.Grant({ accountId, clientId });
  addMissing(grant, interaction);
  return grant.save();
}

/** False where the customer has ended it meanwhile: what it gave must not come back with what it is to give now. */
async function saveStanding(grant: EngineGrant): Promise<boolean> {
  const { adapter } = grant as unknown as { adapter: ArtifactAdapter };
  let stands = false;
  const upsert: ArtifactAdapter['update'] = async (...stored) =>
    (stands = await adapter.update(...stored));
  Object.defineProperty(grant, 'adapter', { value: { upsert } });
  await grant.save();
  return stands;
}

function ownerOf({ session, params }: Interaction): { clientId: string; customerId: string } {
  const customerId = session?.accountId;
  if (customerId === undefined) {
    throw new Problem('interaction_not_found', { detail: 'no customer' });
  }
  return { clientId: String(params['client_id']), customerId };
}
