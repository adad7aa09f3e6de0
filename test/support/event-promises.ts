import { expect, vi } from 'vitest';
import { bankApi } from './consents.ts';
import type { ConsentServer } from './consents.ts';
import { stepOf, withoutDoubles } from './event-receiver.ts';
import type { EventReceiver } from './event-receiver.ts';
import { streamDraft } from './events.ts';
import { rows } from './protocol.ts';
import type { AuthorizationServer } from './server.ts';

/** What an event is about, from the history and as it was told: `consent version move`. */
type Steps = Map<string, string[]>;

function add(steps: Steps, key: string, step: string): void {
  const known = steps.get(key);
  if (known === undefined) steps.set(key, [step]);
  else known.push(step);
}

/** Adds a stream for the resource server and one for the client, both pushed to `receiver`. */
export async function addStreams({ server }: ConsentServer, { url }: EventReceiver): Promise<void> {
  const { eventStreams } = server.running.app;
  const [bank, aisp] = [`${url}?for=bank`, `${url}?for=aisp`];
  await eventStreams.insert(streamDraft({ id: 'bank', resourceServer: bankApi, endpoint: bank }));
  await eventStreams.insert(streamDraft({ id: 'aisp', clientId: 'aisp', endpoint: aisp }));
}

/** Everything that happened to consents, by consent. */
async function historyOf(server: Pick<AuthorizationServer, 'database'>): Promise<Steps> {
  const steps: Steps = new Map();
  const found = await rows(
    server,
    'SELECT consent_id, version, move FROM consent_history ORDER BY consent_id, version',
  );
  for (const { consent_id: id, version, move } of found) {
    add(steps, String(id), `${String(version)} ${String(move)}`);
  }
  return steps;
}

function toldTo({ received }: EventReceiver, name: string, dropsDoubles: boolean): Steps {
  const steps: Steps = new Map();
  const own = received.filter(({ path }) => path.endsWith(`=${name}`));
  for (const { claims } of dropsDoubles ? withoutDoubles(own) : own) {
    const { consent, version, move } = stepOf(claims);
    add(steps, consent, `${String(version)} ${move}`);
  }
  return steps;
}

/** Waits until nothing is left to be told. */
export async function untilTold(server: Pick<AuthorizationServer, 'database'>): Promise<void> {
  await vi.waitFor(
    async () => {
      const waiting = await rows(server, 'SELECT 1 FROM event_deliveries WHERE settled_at IS NULL');
      expect(waiting).toEqual([]);
    },
    { timeout: 60_000, interval: 100 },
  );
}

/**
 * Every step of every consent was told to both receivers, once for who drops doubles, in order; and a double never came
 * after a later step. Gives how many events there were, and how many doubles.
 */
export async function expectAllTold(
  server: Pick<AuthorizationServer, 'database'>,
  receiver: EventReceiver,
): Promise<{ events: number; doubles: number }> {
  const history = await historyOf(server);
  for (const name of ['bank', 'aisp']) {
    expect(toldTo(receiver, name, true)).toEqual(history);
    for (const [consent, steps] of toldTo(receiver, name, false)) {
      const versions = steps.map((step) => Number(step.split(' ')[0]));
      expect({ consent, versions }).toEqual({
        ...{ consent, versions: versions.toSorted((a, b) => a - b) },
      });
    }
  }
  const events = 2 * [...history.values()].flat().length;
  return { events, doubles: receiver.received.length - events };
}
