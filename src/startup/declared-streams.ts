import { readFile } from 'node:fs/promises';
import type { StaticConfiguration } from '../config/static-file.ts';
import { Problem } from '../problem.ts';
import { checkStream } from '../security-events/security-event.ts';
import type { EventStream, StreamDraft } from '../security-events/security-event.ts';
import type { EventStreamStore } from '../security-events/stream-store.ts';

type Declared = NonNullable<StaticConfiguration['eventStreams']>[number];

/**
 * The streams of a static file, checked; reads their secrets' files and writes nothing. Problem('event_stream_invalid'),
 * Problem('configuration_invalid') for an id that stands twice.
 */
export async function checkDeclaredStreams({
  eventStreams = [],
  resourceServers,
}: StaticConfiguration): Promise<StreamDraft[]> {
  const ids = eventStreams.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) {
    const detail = `the event stream ${twice} is declared twice`;
    throw new Problem('configuration_invalid', { detail });
  }
  return Promise.all(
    eventStreams.map(async (stream) => {
      const api = resourceServers.find(({ identifier }) => identifier === stream.resourceServer);
      const algorithm = stream.algorithm ?? api?.signingAlgorithm ?? 'RS256';
      return checkNamed({ ...(await draftOf(stream)), algorithm });
    }),
  );
}

async function draftOf({ authorizationFile, ...stream }: Declared) {
  return {
    id: stream.id,
    clientId: stream.client,
    resourceServer: stream.resourceServer,
    delivery: stream.delivery,
    endpoint: stream.endpoint,
    authorization: await headerIn(authorizationFile),
    source: 'file' as const,
  };
}

function checkNamed(draft: StreamDraft): StreamDraft {
  try {
    return checkStream(draft);
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    const detail = `${draft.id}: ${cause.detail ?? ''}`;
    throw new Problem('event_stream_invalid', { detail, cause });
  }
}

async function headerIn(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const detail = `the file ${file} of an authorization can't be read`;
    throw new Problem('event_stream_invalid', { detail, cause });
  });
  return text.replace(/\r?\n$/, '');
}

/** Refuses streams that an operator made under the same id: two owners would overwrite each other. */
export function takenStreams(
  drafts: readonly StreamDraft[],
  present: readonly EventStream[],
): string[] {
  const declared = new Set(drafts.map(({ id }) => id));
  return present
    .filter(({ id, source }) => source === 'operator' && declared.has(id))
    .map(({ id }) => id);
}

/** Keeps what is declared and deletes what the file no longer declares; gives the ids of the deleted ones. */
export async function applyDeclaredStreams(
  drafts: readonly StreamDraft[],
  streams: Pick<EventStreamStore, 'list' | 'save' | 'delete'>,
): Promise<string[]> {
  for (const draft of drafts) await streams.save(draft);
  const declared = new Set(drafts.map(({ id }) => id));
  const gone = (await streams.list()).filter(
    ({ id, source }) => source === 'file' && !declared.has(id),
  );
  for (const { id } of gone) await streams.delete(id);
  return gone.map(({ id }) => id);
}
