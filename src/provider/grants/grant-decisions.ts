import type Provider from 'oidc-provider';
import { secondsFromNow } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { randomSecret } from '../../security/secrets.ts';
import type { ArtifactStore } from '../storage/artifact-store.ts';
import type { Consents, Recorder } from '../ports.ts';
import type { GrantWish } from './grant-request.ts';
import type { ManagedGrant, ManagedGrantStore } from './managed-grant-store.ts';
import { findGrant } from './managed-id.ts';
import type { EngineGrant } from './managed-id.ts';
import { ownMembers } from './standing-grant.ts';

/** Whose grant it is. */
export interface GrantOwner {
  clientId: string;
  customerId: string;
}

/** What a customer has decided. */
export interface GrantDecision {
  provider: Provider;
  wish: GrantWish;
  owner: GrantOwner;
}

/** A consent that was decided with its grant. */
export interface DecidedConsent {
  id: string;
  /** Saves the engine's grant of the consent; `kept` is what it gave before and shall go on giving. */
  save: (managedId: string, kept: EngineGrant | undefined) => Promise<unknown>;
}

/** What managed grants stand on. */
export interface GrantDependencies {
  store: ManagedGrantStore;
  artifacts: Pick<ArtifactStore, 'destroyGrant'>;
  consents: Pick<Consents, 'isId' | 'revoke'>;
  audit: Recorder;
  /** How long a grant lives after its last change. */
  grantSeconds: number;
  clock: Clock;
}

/**
 * Carries decisions out on managed grants. A change is made to the grant as it is at that moment, by one conditional
 * statement, which ends the tokens of what it replaces: of two merges at once both count, of two replaces the later one
 * stands, and never a mixture. Each resolves to the engine's grant, or to undefined where there is no managed grant (any
 * more) of this owner.
 */
export function createGrantDecisions(deps: GrantDependencies) {
  return {
    /** For scopes alone; `add` puts what is allowed into a new grant. */
    allowScopes: (decision: GrantDecision, add: (grant: EngineGrant) => void) =>
      allowScopes(deps, decision, add),

    /** For a consent, which is authorised already; it is revoked where there is no grant for it. */
    allowConsent: (decision: GrantDecision, consent: DecidedConsent) =>
      allowConsent(deps, decision, consent),

    /** Whether what is wished for can be done to a grant of this owner. */
    isPossible: async ({ wish, owner }: Omit<GrantDecision, 'provider'>): Promise<boolean> =>
      wish.action === 'create' || (await ownGrant(deps, wish.grantId, owner)) !== undefined,
  };
}

export type GrantDecisions = ReturnType<typeof createGrantDecisions>;

async function allowScopes(
  deps: GrantDependencies,
  decision: GrantDecision,
  add: (grant: EngineGrant) => void,
): Promise<string | undefined> {
  const { provider, wish, owner } = decision;
  const newGrant = (managedId: string): EngineGrant => {
    const { clientId, customerId: accountId } = owner;
    return Object.assign(new provider.Grant({ clientId, accountId }), { managedId });
  };
  if (wish.action === 'create') {
    const id = randomSecret(24);
    const grant = newGrant(id);
    add(grant);
    const engineId = await grant.save();
    await insert(deps, owner, { id, member: engineId });
    record(deps, decision, id);
    return engineId;
  }
  for (;;) {
    const managed = await ownGrant(deps, wish.grantId, owner);
    if (managed === undefined) return undefined;
    const before = wish.action === 'merge' ? await ownMembers(provider, managed) : [];
    const grant = newGrant(managed.id);
    for (const member of before.filter((one) => !deps.consents.isId(one))) {
      const old = await findGrant(provider, member);
      if (old !== undefined) copyInto(grant, old);
    }
    add(grant);
    const engineId = await grant.save();
    const members = [...before.filter((one) => deps.consents.isId(one)), engineId];
    if (await change(deps, decision, { managed, members })) {
      record(deps, decision, managed.id);
      return engineId;
    }
    await deps.artifacts.destroyGrant(engineId); // another decision was first
  }
}

async function allowConsent(
  deps: GrantDependencies,
  decision: GrantDecision,
  { id: consentId, save }: DecidedConsent,
): Promise<string | undefined> {
  const { provider, wish, owner } = decision;
  const before = wish.action === 'merge' ? await findGrant(provider, consentId) : undefined;
  await deps.artifacts.destroyGrant(consentId); // "shall invalidate existing refresh tokens"
  if (wish.action === 'create') {
    const id = randomSecret(24);
    await save(id, undefined);
    await insert(deps, owner, { id, member: consentId });
    record(deps, decision, id);
    return consentId;
  }
  await save(wish.grantId, before);
  for (;;) {
    const managed = await ownGrant(deps, wish.grantId, owner);
    if (managed === undefined) {
      await deps.consents.revoke(owner.clientId, consentId);
      return undefined;
    }
    const kept = wish.action === 'merge' ? await ownMembers(provider, managed) : [];
    const members = [...kept.filter((one) => one !== consentId), consentId];
    if (!(await change(deps, decision, { managed, members }))) continue;
    record(deps, decision, managed.id);
    return consentId;
  }
}

/** Gives the grant these members. What is replaced ends, its consents first, so that none is left without its grant. */
async function change(
  { store, consents, clock, grantSeconds }: GrantDependencies,
  { provider, wish }: GrantDecision,
  { managed, members }: { managed: ManagedGrant; members: readonly string[] },
): Promise<boolean> {
  const own = await ownMembers(provider, managed);
  const ended = own.filter((member) => !members.includes(member));
  if (wish.action === 'replace') {
    for (const id of ended.filter((member) => consents.isId(member))) {
      await consents.revoke(managed.clientId, id);
    }
  }
  const expiresAt = secondsFromNow(clock, grantSeconds);
  return store.change(managed, { members, ended, at: clock.now(), expiresAt });
}

const eventOf = {
  create: 'grant.created',
  merge: 'grant.merged',
  replace: 'grant.replaced',
} as const;

function record(
  { audit }: Pick<GrantDependencies, 'audit'>,
  { wish, owner }: GrantDecision,
  grant: string,
): void {
  const actor = { type: 'customer', id: owner.customerId } as const;
  const type = eventOf[wish.action];
  audit.record({ type, outcome: 'success', actor, ...owner, detail: { grant } });
}

async function insert(
  { store, clock, grantSeconds }: GrantDependencies,
  owner: GrantOwner,
  { id, member }: { id: string; member: string },
): Promise<void> {
  const times = { createdAt: clock.now(), expiresAt: secondsFromNow(clock, grantSeconds) };
  await store.insert({ id, ...owner, members: [member], ...times });
}

async function ownGrant(
  { store, clock }: Pick<GrantDependencies, 'store' | 'clock'>,
  id: string,
  { clientId, customerId }: GrantOwner,
): Promise<ManagedGrant | undefined> {
  const managed = await store.find(id, clock.now());
  return managed?.clientId === clientId && managed.customerId === customerId ? managed : undefined;
}

/** Adds what `old` gives, apart from authorization details. */
export function copyInto(grant: EngineGrant, { openid, resources }: EngineGrant): void {
  if (openid?.scope !== undefined) grant.addOIDCScope(openid.scope);
  if (openid?.claims !== undefined) grant.addOIDCClaims(openid.claims);
  for (const [resource, scopes] of Object.entries(resources ?? {})) {
    grant.addResourceScope(resource, scopes);
  }
}
