import { randomBytes } from 'node:crypto';
import { createEncryption, keyIdOf, sealedUnder } from './encryption.ts';

/** A value under a data key of its own, and that data key under a master key. */
export interface Envelope {
  /** The value, AES-256-GCM under the data key. */
  sealed: Uint8Array<ArrayBuffer>;
  /** The data key, AES-256-GCM under a master key. */
  wrappedKey: Uint8Array<ArrayBuffer>;
}

/** Seals values so that a new master key means to wrap small data keys again, and never to touch the values. */
export interface EnvelopeEncryption {
  /** Under a new data key, wrapped by the first master key; both are bound to `context`. */
  seal(plaintext: string, context: string): Envelope;
  /** The value; throws when either part was changed or moved, or no master key fits. */
  open(envelope: Envelope, context: string): string;
  /** The same data key under the first master key; undefined when it is so already. */
  rewrap(wrappedKey: Uint8Array, context: string): Uint8Array<ArrayBuffer> | undefined;
  /** Whether one of the master keys wrapped it. */
  knows(wrappedKey: Uint8Array): boolean;
  /** How the master keys are told apart: the first 4 bytes of their SHA-256, hex. */
  readonly masterKeyIds: readonly string[];
}

/** How the master key that wrapped this data key is told apart. */
export function masterKeyIdOf(wrappedKey: Uint8Array): string {
  return sealedUnder(wrappedKey).toString('hex');
}

/** Envelope encryption under 32-byte master keys: the first wraps, all unwrap. */
export function createEnvelopeEncryption(masterKeys: readonly Buffer[]): EnvelopeEncryption {
  const master = createEncryption(masterKeys);
  const masterKeyIds = masterKeys.map((key) => keyIdOf(key).toString('hex'));
  const wrapping = (context: string) => `data key of ${context}`;

  return {
    masterKeyIds,
    knows: (wrappedKey) => masterKeyIds.includes(masterKeyIdOf(wrappedKey)),

    seal(plaintext, context) {
      const dataKey = randomBytes(32);
      return {
        sealed: createEncryption([dataKey]).seal(plaintext, context),
        wrappedKey: master.seal(dataKey.toString('base64url'), wrapping(context)),
      };
    },

    open({ sealed, wrappedKey }, context) {
      const dataKey = Buffer.from(master.open(wrappedKey, wrapping(context)), 'base64url');
      return createEncryption([dataKey]).open(sealed, context);
    },

    rewrap(wrappedKey, context) {
      if (masterKeyIdOf(wrappedKey) === masterKeyIds[0]) return undefined;
      return master.seal(master.open(wrappedKey, wrapping(context)), wrapping(context));
    },
  };
}
