import type { AuditEntry } from '../audit/events.ts';
import type { Clock } from '../clock.ts';
import { secondsFromNow } from '../clock.ts';
import { Problem } from '../problem.ts';
import type { RingKey, RotationSchedule } from './key-ring.ts';
import type { KeyRingStore, MoveTimes } from './key-ring-store.ts';
import type { ProcessStore } from './process-store.ts';
import type { KnownReader, ReaderStore } from './reader-store.ts';
import type { Signers } from './signers/signers.ts';

/** What rotation goes by, in seconds. */
export interface RotationPolicy extends RotationSchedule {
  /** How long the schedule waits beyond its time for resource servers to fetch a key. */
  readerWaitSeconds: number;
  /** How long a retired key stays published: the longest life of what it signed, and a margin. */
  keepSeconds: number;
}

/** An act on a key, for the audit trail; whoever records it adds who did it. */
export type KeyAct = Pick<AuditEntry, 'type' | 'detail'>;

/** What operators and the schedule act on. */
export interface RotationGround {
  store: KeyRingStore;
  processes: Pick<ProcessStore, 'live'>;
  readers: Pick<ReaderStore, 'known'>;
  signers: Pick<Signers, 'adopt' | 'generate' | 'discard'>;
  clock: Clock;
  policy: RotationPolicy;
  /** Records what was done. */
  record: (act: KeyAct) => Promise<void> | void;
}

/** When a move that is made now happens, and until when what retires by it stays published. */
export function timesOf({ clock, policy }: Pick<RotationGround, 'clock' | 'policy'>): MoveTimes {
  return { now: clock.now(), destroyAt: secondsFromNow(clock, policy.keepSeconds) };
}

/** Anybody can say that they are a resource server: who has not proved it neither hastens a key nor holds it up. */
export function waitedFor(kid: string, known: readonly KnownReader[]): KnownReader[] {
  return known.filter(({ proven, seen }) => proven && !seen.includes(kid));
}

/** Records that a key signs, and what retired by it. */
export async function recordPromotion(
  deps: Pick<RotationGround, 'record'>,
  { key, signer }: { key: RingKey; signer: RingKey | undefined },
): Promise<void> {
  await record(deps, 'activated', key);
  if (signer !== undefined) await record(deps, 'retired', signer);
}

/** Records what became of a key. */
export async function record(
  deps: Pick<RotationGround, 'record'>,
  what: 'created' | 'activated' | 'retired' | 'destroyed' | 'revoked',
  { kid, algorithm, stage, origin }: Pick<RingKey, 'kid' | 'algorithm' | 'stage' | 'origin'>,
): Promise<void> {
  const detail = what === 'created' ? { kid, algorithm, stage, origin } : { kid, algorithm };
  await deps.record({ type: `signing_key.${what}`, detail });
}

/** The refusal of an act, with its reason. */
export function refused(detail: string): Problem {
  return new Problem('signing_key_act_refused', { detail });
}
