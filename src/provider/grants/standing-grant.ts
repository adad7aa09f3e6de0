import type Provider from 'oidc-provider';
import type { Clock } from '../../clock.ts';
import type { ManagedGrant, ManagedGrantStore } from './managed-grant-store.ts';
import { findGrant } from './managed-id.ts';
import type { EngineGrant } from './managed-id.ts';

/** A managed grant with what of it stands at this moment. */
export interface StandingGrant {
  managed: ManagedGrant;
  members: readonly EngineGrant[];
}

/** The engine's grants of a managed one that stand. */
async function membersOf(
  provider: Provider,
  { id, members }: Pick<ManagedGrant, 'id' | 'members'>,
): Promise<EngineGrant[]> {
  const found = await Promise.all(members.map((member) => findGrant(provider, member)));
  return found.filter((grant) => grant !== undefined).filter(({ managedId }) => managedId === id);
}

/** Ids of its members, without those that have ended here and begun again under another id. */
export async function ownMembers(
  provider: Provider,
  { id, members }: Pick<ManagedGrant, 'id' | 'members'>,
): Promise<string[]> {
  const found = await Promise.all(members.map((member) => findGrant(provider, member)));
  return members.filter((_member, at) => (found[at]?.managedId ?? id) === id);
}

/** Reads a grant and its members as of one moment, although changes may follow each other meanwhile. */
export async function findStanding(
  provider: Provider,
  id: string,
  { store, clock }: { store: Pick<ManagedGrantStore, 'find'>; clock: Clock },
): Promise<StandingGrant | undefined> {
  let seen: number | undefined;
  for (;;) {
    const managed = await store.find(id, clock.now());
    if (managed === undefined) return undefined;
    const members = await membersOf(provider, managed);
    if (members.length === managed.members.length || managed.version === seen) {
      return { managed, members };
    }
    seen = managed.version;
  }
}
