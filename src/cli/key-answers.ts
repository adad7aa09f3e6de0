import { isPublished } from '../signing-keys/key-ring.ts';
import type { RingKey } from '../signing-keys/key-ring.ts';
import type { KeyRingStatus } from '../signing-keys/rotation.ts';
import { table } from './output.ts';
import type { Answer } from './output.ts';

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

/** One line a key. */
export function keyTable(keys: readonly RingKey[]): string {
  const rows = keys.map((key) => {
    const { kid, algorithm, stage, origin, signer, createdAt } = key;
    return [kid, algorithm, stage, origin, signer, createdAt.toISOString(), nextOf(key)];
  });
  const header = ['KID', 'ALGORITHM', 'STAGE', 'ORIGIN', 'SIGNER', 'CREATED', 'NEXT'];
  return tableOf('Signing keys', header, rows);
}

/** Of several tables, one that is empty has to say what there is none of. */
function tableOf(what: string, header: readonly string[], rows: readonly string[][]): string {
  return rows.length === 0 ? `${what}: none.` : table(header, rows);
}

function nextOf({ stage, activateAt, destroyAt }: RingKey): string {
  if (stage === 'announced') return `signs ${activateAt?.toISOString() ?? 'when promoted'}`;
  if (stage === 'retired') return `destroyed ${destroyAt?.toISOString() ?? ''}`;
  return '';
}

/** The published keys, and which processes and readers have them. */
export function statusAnswer({ keys, processes, readers }: KeyRingStatus): Answer {
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
    keyTable(published),
    tableOf('Running servers', ['SERVER', 'PROCESS', 'PUBLISHES ANNOUNCED', 'SEEN'], servers),
    tableOf(
      'Resource servers that fetched the key set',
      ['RESOURCE SERVER', 'KNOWN BY', 'PROVEN', 'FETCHED ANNOUNCED', 'LAST FETCH'],
      fetched,
    ),
  ].join('\n\n');
  return { json: { keys: published.map(asJson), processes, readers }, text };
}
