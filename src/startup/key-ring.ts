import type { Clock } from '../clock.ts';
import { storedDataProblems } from '../config/invariants.ts';
import type { Configuration } from '../config/schema.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { Database } from '../database/client.ts';
import { developmentSecrets, isDevelopmentSecret } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { Problem } from '../problem.ts';
import { createEnvelopeEncryption } from '../security/envelope.ts';
import type { KeyAct, RotationPolicy } from '../signing-keys/key-acts.ts';
import { createKeyRingStore } from '../signing-keys/key-ring-store.ts';
import type { OpenedKey } from '../signing-keys/key-ring-store.ts';
import { keyRingProblems } from '../signing-keys/key-ring.ts';
import type { SigningAlgorithm } from '../signing-keys/key-ring.ts';
import { createProcessStore } from '../signing-keys/process-store.ts';
import { createPublishedRing } from '../signing-keys/published-ring.ts';
import type { PublishedRing } from '../signing-keys/published-ring.ts';
import { createReaderStore } from '../signing-keys/reader-store.ts';
import { createOverdueWatch } from '../signing-keys/overdue.ts';
import { withLacks } from '../signing-keys/ring-reading.ts';
import { createRotation } from '../signing-keys/rotation.ts';
import type { Signers } from '../signing-keys/signers/signers.ts';
import type { BroughtKey, Rotation } from '../signing-keys/rotation.ts';
import { Refusal, developmentKeys } from './material.ts';
import type { BroughtJwk, Material } from './material.ts';
import { runAll } from './run-all.ts';
import { signersOf } from './signers.ts';

/** No access token lives longer (row P3). */
const longestAccessTokenSeconds = 900;

/** Clocks of resource servers, and a process that learns of a change late. */
const keepMarginSeconds = 300;

/** How keys follow one another; a retired one stays as long as a token or a session's ID token that it signed. */
function rotationPolicy(configuration: Configuration): RotationPolicy {
  const { accessTokenTtlSeconds, sessionTtlSeconds } = configuration;
  const longest = Math.max(longestAccessTokenSeconds, accessTokenTtlSeconds, sessionTtlSeconds);
  return {
    rotateSeconds: configuration.keyRotationSeconds,
    announceSeconds: configuration.keyAnnounceSeconds,
    readerWaitSeconds: configuration.keyReaderWaitSeconds,
    keepSeconds: longest + keepMarginSeconds,
  };
}

interface RotationGround {
  prisma: Database['prisma'];
  masterKeys: readonly Buffer[];
  signers: Signers;
  clock: Clock;
  record: (act: KeyAct) => Promise<void> | void;
}

/** The acts on the key ring, for commands and the start. */
export function rotationOf(
  configuration: Configuration,
  { prisma, masterKeys, signers, clock, record }: RotationGround,
): Rotation {
  const envelope = createEnvelopeEncryption(masterKeys);
  return createRotation({
    store: createKeyRingStore({ prisma, envelope }),
    processes: createProcessStore(prisma),
    readers: createReaderStore(prisma),
    policy: rotationPolicy(configuration),
    ...{ signers, clock, record },
  });
}

/** The master keys from the configuration, or in development the created one. Throws a {@link Refusal} in production. */
export function masterKeysOf(configuration: Configuration): readonly Buffer[] {
  const problems = storedDataProblems(configuration, isDevelopmentSecret);
  if (problems.length > 0) throw new Refusal(problems);
  if (configuration.masterKeys !== undefined) return configuration.masterKeys;
  const { masterKey } = developmentSecrets(createPrivateFiles(configuration.keysDirectory));
  return [Buffer.from(masterKey, 'base64url')];
}

/** The ring of a server, and where it records what the schedule does. */
export interface OpenKeyRing {
  ring: PublishedRing;
  /** What was done before this is told then. */
  recordTo(record: (act: KeyAct) => void): void;
  stop(): Promise<void>;
}

interface ServerGround extends Pick<RotationGround, 'prisma' | 'clock'> {
  changes: ChangeSource;
  logger: Logger;
  metrics: Pick<Metrics, 'rotationOverdueSeconds' | 'signatureSeconds' | 'signatureFailures'>;
  /** The key service's access token as its file has it now. */
  rereadToken?: (() => string | undefined) | undefined;
}

/**
 * Takes over the keys that were brought as files, and makes sure that the ring can sign. Throws a {@link Refusal} that
 * names what stands against it.
 */
export async function openKeyRing(
  configuration: Configuration,
  { signingKeys, masterKeys }: Pick<Material, 'signingKeys' | 'masterKeys'>,
  ground: ServerGround,
): Promise<OpenKeyRing> {
  const { prisma, clock, changes, logger } = ground;
  const signers = signersOf(configuration, ground);
  let recordNow: ((act: KeyAct) => void) | undefined;
  const acts: KeyAct[] = [];
  function record(act: KeyAct): void {
    if (recordNow === undefined) acts.push(act);
    else recordNow(act);
  }
  const rotation = rotationOf(configuration, { prisma, masterKeys, signers, clock, record });
  const taken = await rotation.takeOver(signingKeys.map((jwk) => broughtKey(jwk, clock)));
  if (taken.length > 0) {
    logger.info('Signing keys were taken over from files', { kids: taken.map(({ kid }) => kid) });
  }
  const store = createKeyRingStore({ prisma, envelope: createEnvelopeEncryption(masterKeys) });
  rejectUnfitRing(configuration, withLacks(await store.open(), signers));
  const processes = createProcessStore(prisma);
  const onLook = createOverdueWatch({ ...ground, policy: rotationPolicy(configuration) });
  const parts = { store, processes, rotation, changes, logger, signers, onLook };
  const ring = createPublishedRing(parts);
  return {
    ring,
    stop: () => runAll([() => ring.stop(), () => signers.close()]),
    recordTo(sink) {
      recordNow = sink;
      for (const act of acts.splice(0)) sink(act);
    },
  };
}

function rejectUnfitRing({ environment }: Configuration, keys: readonly OpenedKey[]): void {
  const problems = [
    ...keyRingProblems(keys).map(
      (problem) => `${problem}: run \`npm run countersign -- keys generate\``,
    ),
    ...keys.flatMap(({ fault }) => fault ?? []),
    ...(environment === 'production' ? developmentKeys(keys) : []),
  ];
  if (problems.length > 0) throw new Refusal(problems);
}

function broughtKey({ kid, alg, stage, ...jwk }: BroughtJwk, clock: Clock): BroughtKey {
  if (typeof jwk.d !== 'string' || jwk.kty === undefined) {
    throw new Problem('signing_key_invalid', { detail: `${kid} is not a private key` });
  }
  const privateJwk = { ...jwk, kty: jwk.kty, d: jwk.d };
  return { kid, algorithm: alg as SigningAlgorithm, stage, createdAt: clock.now(), privateJwk };
}
