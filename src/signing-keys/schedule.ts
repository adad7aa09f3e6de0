import { record, recordPromotion, timesOf, waitedFor } from './key-acts.ts';
import type { RotationGround } from './key-acts.ts';
import { dueSteps, keyOf, signerOf } from './key-ring.ts';
import type { RingKey, RotationStep } from './key-ring.ts';
import type { KeyRingStore } from './key-ring-store.ts';

/** What the schedule acts on. */
interface Dependencies extends Omit<RotationGround, 'store' | 'processes' | 'signers'> {
  signers: Pick<RotationGround['signers'], 'generate' | 'discard'>;
  store: Pick<KeyRingStore, 'announce' | 'promote' | 'retire' | 'destroy'>;
}

/**
 * Carries out what is due of these keys. `onFailure` is told of each step that fails when it does, though others go on;
 * the promise rejects when all have ended.
 */
export type RunDue = (
  keys: readonly RingKey[],
  onFailure?: (error: unknown) => void,
) => Promise<void>;

/**
 * What carries out the steps that the schedule says are due, of the keys as they were read; each by itself, because a
 * signer may hang for as long as making a key may take. A step that is under way is not begun again: who asks meanwhile
 * waits for it. Rejects with the first failure, when all of them have ended.
 */
export function createSchedule(deps: Dependencies): RunDue {
  const underWay = new Map<string, Promise<void>>();

  function begin(step: RotationStep, ...[keys, onFailure]: Parameters<RunDue>): void {
    const name = `${step.step} ${step.step === 'announce' ? step.algorithm : step.kid}`;
    if (underWay.has(name)) return;
    const work = carryOut(step, keys, deps).finally(() => underWay.delete(name));
    underWay.set(name, work);
    work.catch((error: unknown) => {
      onFailure?.(error);
    });
  }

  return async function runDue(keys, onFailure) {
    const due = dueSteps(keys, deps.policy, deps.clock.now());
    for (const step of due) begin(step, keys, onFailure);
    const outcomes = await Promise.allSettled(underWay.values());
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  };
}

async function carryOut(
  step: RotationStep,
  keys: readonly RingKey[],
  deps: Dependencies,
): Promise<void> {
  const { store, signers, clock } = deps;
  if (step.step === 'announce') {
    const { algorithm, activateAt } = step;
    const material = await signers.generate(algorithm);
    const key = { ...material, origin: 'schedule' as const, createdAt: clock.now(), activateAt };
    if (await store.announce(key)) await record(deps, 'created', { ...key, stage: 'announced' });
    else await signers.discard(material);
    return;
  }
  const key = keyOf(keys, step.kid);
  if (step.step === 'promote') await promoteWhenSeen(key, keys, deps);
  else if (step.step === 'retire') {
    if (await store.retire(key.kid, timesOf(deps))) await record(deps, 'retired', key);
  } else if (await store.destroy(key.kid, clock.now())) await record(deps, 'destroyed', key);
}

/** The schedule waits for the resource servers, but not for ever: one that is gone must not stop rotation. */
async function promoteWhenSeen(
  key: RingKey,
  keys: readonly RingKey[],
  deps: Dependencies,
): Promise<void> {
  const { store, readers, clock, policy } = deps;
  const signer = signerOf(keys, key.algorithm);
  const lastMoment = (key.activateAt ?? key.createdAt).getTime() + policy.readerWaitSeconds * 1000;
  if (signer !== undefined && clock.now().getTime() < lastMoment) {
    const known = await readers.known(clock.now());
    if (waitedFor(key.kid, known).length > 0) return;
  }
  if (await store.promote(key.kid, timesOf(deps))) await recordPromotion(deps, { key, signer });
}
