import type { JSONWebKeySet, JWK } from 'jose';
import type { Configuration } from '../config/schema.ts';
import type { Database } from '../database/client.ts';
import { Problem } from '../problem.ts';
import { createEnvelopeEncryption } from '../security/envelope.ts';
import { createKeyRingStore } from '../signing-keys/key-ring-store.ts';
import { publishedKeys, readRing } from '../signing-keys/ring-reading.ts';
import type { Signers } from '../signing-keys/signers/signers.ts';
import { masterKeysOf } from './key-ring.ts';

/** What a command signs with, and what verifies it. */
export interface RingSigner {
  kid: string;
  algorithm: string;
  sign: (data: Uint8Array) => Promise<Uint8Array>;
  /** Everything that is published now. */
  keySet: JSONWebKeySet;
}

/** As verifiers of other makes take it: what signs is not theirs to know. */
function verifying({ key_ops: _operations, ...jwk }: JWK): JSONWebKeySet['keys'][number] {
  return jwk;
}

/** The one that most verifiers know first. */
const preferred = ['PS256', 'ES256', 'EdDSA', 'RS256'];

/** The key of the ring that signs for commands. Problem('signing_key_invalid') when none signs. */
export async function ringSigner(
  configuration: Configuration,
  { prisma, signers }: { prisma: Database['prisma']; signers: Signers },
): Promise<RingSigner> {
  const envelope = createEnvelopeEncryption(masterKeysOf(configuration));
  const ring = await readRing(createKeyRingStore({ prisma, envelope }), signers);
  const keys = publishedKeys(ring, signers);
  const [key] = preferred.flatMap((alg) =>
    keys.filter(({ jwk, signer }) => jwk.alg === alg && signer !== undefined),
  );
  const { jwk, signer } = key ?? {};
  if (jwk?.kid === undefined || jwk.alg === undefined || signer === undefined) {
    throw new Problem('signing_key_invalid', { detail: 'no key signs' });
  }
  const keySet = { keys: keys.map((one) => verifying(one.jwk)) };
  return { kid: jwk.kid, algorithm: jwk.alg, sign: (data) => signer.sign(data), keySet };
}
