import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operatorBeside } from '../support/key-ring.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcess, ServerProcesses } from '../support/server-process.ts';

const rotations = 25;
const requests = 10_000;
const workers = 12;

let base: AuthorizationServer;
let processes: ServerProcesses;
let replicas: [ServerProcess, ServerProcess];

beforeAll(async () => {
  base = await startAuthorizationServer();
  processes = await serverProcesses(base);
  replicas = [await processes.start(), await processes.start()];
}, 60_000);

afterAll(async () => {
  await processes.close();
  await base.stop();
});

/** Tokens from one process, each verified at once by the key set of the other one. */
async function work(state: { sent: number; failures: string[]; kids: Set<string>; over: boolean }) {
  const [first, second] = replicas.map(({ server }) => ({
    fetch: server.fetch(),
    issuer: server.issuer,
  })) as [Door, Door];
  const headers = {
    ...basic('web', base.secrets.web),
    'content-type': 'application/x-www-form-urlencoded',
  };
  for (let turn = 0; !state.over || state.sent < requests; turn += 1) {
    const [issuing, verifying] = turn % 2 === 0 ? [first, second] : [second, first];
    const init = { method: 'POST', headers, body: 'grant_type=client_credentials' };
    const answer = await json(issuing, { path: '/token', init }, state);
    const keySet = await json(verifying, { path: '/jwks', init: {} }, state);
    try {
      const keys = createLocalJWKSet(keySet as unknown as JSONWebKeySet);
      const { protectedHeader } = await jwtVerify(String(answer['access_token']), keys);
      state.kids.add(String(protectedHeader.kid));
    } catch (error) {
      state.failures.push(String(error));
    }
  }
}

interface Door {
  fetch: typeof fetch;
  issuer: string;
}

async function json(
  { fetch: send, issuer }: Door,
  { path, init }: { path: string; init: RequestInit },
  state: { sent: number; failures: string[] },
): Promise<Record<string, unknown>> {
  state.sent += 1;
  try {
    const response = await send(issuer + path, init);
    if (response.status !== 200) {
      state.failures.push(`${path} ${String(response.status)} ${await response.text()}`);
      return {};
    }
    return (await response.json()) as Record<string, unknown>;
  } catch (error) {
    state.failures.push(`${path} ${String(error)}`);
    return {};
  }
}

describe('Rotations under load', () => {
  it(
    `${String(rotations)} of them fail none of ${String(requests)} requests on two processes, and every token verifies at once on the other one`,
    { timeout: 180_000 },
    async () => {
      const operator = operatorBeside(base);
      const state = { sent: 0, failures: [] as string[], kids: new Set<string>(), over: false };
      const load = Array.from({ length: workers }, () => work(state));
      for (let done = 0; done < rotations; done += 1) await operator.rotation.rotate('RS256');
      state.over = true;
      await Promise.all(load);
      await operator.close();
      expect(state.failures).toEqual([]);
      expect(state.sent).toBeGreaterThanOrEqual(requests);
      // Some keys may have signed too briefly to be met.
      expect(state.kids.size).toBeGreaterThan(rotations / 2);
    },
  );
});
