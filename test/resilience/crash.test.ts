import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import { crashFlows, expectTold } from '../support/crash-flows.ts';
import type { World } from '../support/crash-flows.ts';
import { discoverWeb } from '../support/journey.ts';
import { publicClient } from '../support/oauth-client.ts';
import { discover } from '../support/openid.ts';
import { printedSeed } from '../support/seed.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';

const kills = 200;

let steady: AuthorizationServer;
let processes: ServerProcesses;
let world: World;

const random = printedSeed('crash');

beforeAll(async () => {
  const permissions = { [accountsApi]: ['accounts'] };
  steady = await startAuthorizationServer({
    clients: [publicClient('spa', permissions), publicClient('bound', permissions, true)],
  });
  processes = await serverProcesses(steady);
  world = await newWorld(steady);
});

afterAll(async () => {
  await processes.close();
  await steady.stop();
});

async function newWorld(server: AuthorizationServer): Promise<World> {
  const certificate = await clientCertificate(server.certificates.authority);
  const authentication = openid.None();
  const at = (id: string) => `https://${id}.example.com/callback`;
  return {
    steady: server,
    senders: {
      web: { id: 'web', redirectUri: at('web'), secret: server.secrets.web },
      spa: { id: 'spa', redirectUri: at('spa') },
      bound: { id: 'bound', redirectUri: at('bound'), certificate },
    },
    configurations: {
      web: await discoverWeb(server),
      spa: await discover(server, { id: 'spa', authentication }),
      bound: await discover(server, { id: 'bound', authentication, certificate }),
    },
    told: { alive: [], dead: [] },
  };
}

/** Milliseconds up to which a kill comes, by flow: a little longer than the flow takes, so that kills fall all over it. */
const spans = new Map<string, number>();

describe('A server that is killed', () => {
  it(
    `${String(kills)} times in the middle of things starts again by itself, and every promise is kept`,
    { timeout: 300_000 },
    async () => {
      const outcomes = { answered: 0, broken: 0 };
      for (let kill = 0; kill < kills; kill += 1) {
        const [name, flow] = random.pick(crashFlows as [(typeof crashFlows)[number]]);
        const step = await flow(world);
        const victim = await processes.start();
        const delay = random.upTo(spans.get(name) ?? 100);
        const begun = performance.now();
        const acting = step.act(victim.server).then(
          (outcome) => {
            spans.set(name, Math.ceil((performance.now() - begun) * 1.2));
            return outcome;
          },
          () => undefined,
        );
        await new Promise((resolve) => setTimeout(resolve, delay));
        expect(await victim.kill()).toEqual({ code: null, signal: 'SIGKILL' });
        const outcome = await acting;
        outcomes[outcome === undefined ? 'broken' : 'answered'] += 1;
        try {
          await step.verify(outcome, steady);
        } catch (error) {
          throw new Error(`kill ${String(kill)}, ${name}, after ${String(delay)} ms`, {
            cause: error,
          });
        }
      }
      console.log(`crash: ${JSON.stringify(outcomes)}`);
      expect(outcomes.broken).toBeGreaterThan(kills / 10);
      await expectTold(world, (await processes.start()).server);
    },
  );
});
