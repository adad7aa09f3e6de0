import { activationOf, isPublished, signerOf, successorOf } from '../signing-keys/key-ring.ts';
import type { RingKey, RotationSchedule } from '../signing-keys/key-ring.ts';
import type { KeyRingStatus } from '../signing-keys/rotation.ts';
import { table } from './output.ts';
import type { Answer } from './output.ts';

/** By what keys follow one another, and the moment from which that is told. */
export interface Plan {
  schedule: RotationSchedule;
  now: Date;
}

/** Keys as a command prints them after it has changed something. */
export function changed(keys: readonly RingKey[], done: string): Answer {
  const lines = keys.map(({ kid, algorithm, stage }) => `${kid} (${algorithm}) is ${stage}`);
  const text = [`The signing key is ${done}:`, ...lines, followHint].join('\n');
  return { json: { keys: keys.map(asJson) }, text };
}

const followHint = 'Running servers follow within a second.';

/** All that may be told of a key. */
export function asJson(key: RingKey) {
  const { kid, algorithm, stage, origin, signer, reference, publicJwk } = key;
  const moments = Object.entries({
    createdAt: key.createdAt,
    activateAt: key.activateAt,
    activatedAt: key.activatedAt,
    retiredAt: key.retiredAt,
    destroyAt: key.destroyAt,
    endedAt: key.endedAt,
  }).flatMap(([name, moment]) => (moment === undefined ? [] : [[name, moment.toISOString()]]));
  const times = Object.fromEntries(moments) as Record<string, string>;
  return { kid, algorithm, stage, origin, signer, reference, ...times, publicJwk };
}

/** One line a key; what comes next is what the schedule has planned at `now`. */
export function keyTable(keys: readonly RingKey[], plan: Plan): string {
  const rows = keys.map((key) => {
    const { kid, algorithm, stage, origin, signer, createdAt } = key;
    return [
      kid,
      algorithm,
      stage,
      origin,
      signer,
      createdAt.toISOString(),
      nextOf(key, keys, plan),
    ];
  });
  const header = ['KID', 'ALGORITHM', 'STAGE', 'ORIGIN', 'SIGNER', 'CREATED', 'NEXT'];
  return tableOf('Signing keys', header, rows);
}

/** Of several tables, one that is empty has to say what there is none of. */
function tableOf(what: string, header: readonly string[], rows: readonly string[][]): string {
  return rows.length === 0 ? `${what}: none.` : table(header, rows);
}

function nextOf(key: RingKey, keys: readonly RingKey[], plan: Plan): string {
  const { stage, activateAt, destroyAt } = key;
  if (stage === 'active') return endOfSigning(key, keys, plan);
  if (stage === 'announced') return `signs ${activateAt?.toISOString() ?? 'when promoted'}`;
  if (stage === 'retired') return `destroyed ${destroyAt?.toISOString() ?? ''}`;
  return '';
}

/** Of the key that signs with its algorithm: who follows it, and when; nothing where operators rotate. */
function endOfSigning(key: RingKey, keys: readonly RingKey[], { schedule, now }: Plan): string {
  const { kid, algorithm } = key;
  if (signerOf(keys, algorithm)?.kid !== kid) return '';
  const successor = successorOf(keys, algorithm);
  if (successor !== undefined) {
    return `replaced ${successor.activateAt?.toISOString() ?? 'when the announced one is promoted'}`;
  }
  const replacedAt = activationOf(key, schedule, now);
  if (replacedAt === undefined) return '';
  const announcedAt = new Date(replacedAt.getTime() - schedule.announceSeconds * 1000);
  return `successor announced ${announcedAt.toISOString()}`;
}

/** The published keys, and which processes and readers have them. */
export function statusAnswer({ keys, processes, readers }: KeyRingStatus, plan: Plan): Answer {
  const published = keys.filter(isPublished);
  const announced = published.filter(({ stage }) => stage === 'announced');
  const has = (kids: readonly string[]) =>
    announced.every(({ kid }) => kids.includes(kid)) ? 'yes' : 'no';
  const servers = processes.map(({ id, host, published: kids, seenAt }) => [
    host,
    id,
    has(kids),
    seenAt.toISOString(),
  ]);
  const fetched = readers.map(({ kind, name, proven, seen, lastSeenAt }) => [
    name,
    kind,
    proven ? 'yes' : 'no',
    has(seen),
    lastSeenAt.toISOString(),
  ]);
  const text = [
    keyTable(published, plan),
    tableOf('Running servers', ['SERVER', 'PROCESS', 'PUBLISHES ANNOUNCED', 'SEEN'], servers),
    tableOf(
      'Resource servers that fetched the key set',
      ['RESOURCE SERVER', 'KNOWN BY', 'PROVEN', 'FETCHED ANNOUNCED', 'LAST FETCH'],
      fetched,
    ),
  ].join('\n\n');
  return { json: { keys: published.map(asJson), processes, readers }, text };
}
