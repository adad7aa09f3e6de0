import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { openDatabase } from '../../src/database/client.ts';
import type { KeyAct } from '../../src/signing-keys/key-acts.ts';
import type { Rotation } from '../../src/signing-keys/rotation.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { rotationOf } from '../../src/startup/key-ring.ts';
import { signersOf } from '../../src/startup/signers.ts';
import type { AuthorizationServer } from './server.ts';
import { silentLogger } from './silent-logger.ts';

/** What an operator can do to the keys of a server, beside it. */
export interface Operator {
  rotation: Rotation;
  /** What was recorded of it. */
  acts: KeyAct[];
  close(): Promise<void>;
}

/** The acts on the key ring of `server`, as the commands call them. */
export function operatorBeside(
  { database, material }: Pick<AuthorizationServer, 'database' | 'material'>,
  clock: Clock = systemClock,
  environment: Record<string, string> = {},
): Operator {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const opened = openDatabase({
    connection: database.connection,
    poolSize: 2,
    statementTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
    logger: silentLogger,
  });
  const acts: KeyAct[] = [];
  const { masterKeys } = material;
  const { prisma } = opened;
  const record = (act: KeyAct) => void acts.push(act);
  const signers = signersOf(loaded.configuration, { metrics: createMetrics() });
  const ground = { prisma, masterKeys, signers, clock, record };
  return {
    rotation: rotationOf(loaded.configuration, ground),
    acts,
    async close() {
      await signers.close();
      await opened.close();
    },
  };
}

/** The key set as `server` publishes it at this moment. */
export async function keySetOf(
  server: Pick<AuthorizationServer, 'fetch' | 'issuer'>,
  query = '',
): Promise<JSONWebKeySet> {
  const response = await server.fetch()(`${server.issuer}/jwks${query}`);
  return (await response.json()) as JSONWebKeySet;
}

/** Kids of the key set as `server` publishes it. */
export async function kidsOf(
  server: Pick<AuthorizationServer, 'fetch' | 'issuer'>,
): Promise<string[]> {
  return (await keySetOf(server)).keys.map(({ kid = '' }) => kid);
}

/** Whether a token's signature verifies by the key set of `server`; never rejects. */
export async function verifies(
  server: Pick<AuthorizationServer, 'fetch' | 'issuer'>,
  token: string,
): Promise<boolean> {
  const keys = createLocalJWKSet(await keySetOf(server));
  return jwtVerify(token, keys).then(
    () => true,
    () => false,
  );
}
