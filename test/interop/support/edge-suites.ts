import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { EdgePolicy } from '../../../src/edge/route-policy.ts';
import type { Differences } from './edge-expectations.ts';
import type { StartGateway } from './edge-gateways.ts';
import { describeHeaders } from './edge-headers.ts';
import { describeHttp2 } from './edge-http2.ts';
import { describePassing } from './edge-passing.ts';
import { describePaths } from './edge-paths.ts';
import { describeRefusing } from './edge-refusing.ts';
import { describeTransport } from './edge-transport.ts';
import { startEdgeWorld } from './edge-world.ts';
import type { EdgeWorld } from './edge-world.ts';

/** A gateway that asks Countersign. */
interface Gateway {
  name: string;
  kind: EdgePolicy['proxy'];
  start: StartGateway;
  differences: Differences;
}

/** What every gateway has to do and to refuse; gives back where it stands, once it has been started. */
export function describeGateway({ name, kind, start, differences }: Gateway): () => EdgeWorld {
  let started: EdgeWorld | undefined;
  const world = () => {
    if (started === undefined) throw new Error('it has not been started');
    return started;
  };
  beforeAll(async () => {
    started = await startEdgeWorld(kind, start);
  });
  beforeEach(() => {
    world().api.passed.length = 0;
    world().witness.asked.length = 0;
  });
  afterAll(() => started?.stop());
  const suite = { name, differences, world };
  for (const describeSome of [
    ...[
      describePassing,
      describeRefusing,
      describeHeaders,
      describePaths,
      describeTransport,
      describeHttp2,
    ],
  ]) {
    describeSome(suite);
  }
  return world;
}
