import type { CounterHandle, HistogramHandle } from '../../observability/metric-handles.ts';
import { Problem } from '../../problem.ts';
import { isJwsSignature } from '../../security/jws-algorithms.ts';
import { publicJwkOf } from '../key-material.ts';
import type { KeyMaterial } from '../key-material.ts';
import type { SignerName, SigningAlgorithm } from '../key-ring.ts';
import { createBounds } from './bounded.ts';
import type { SignerLimits } from './bounded.ts';
import { faultOf, signerFailure } from './signer.ts';
import type { KeptKey, Sign, SignableKey, Signer, WantedKey } from './signer.ts';

/** A key and which signer has it. */
export interface SignersKey extends SignableKey {
  signer: SignerName;
}

/** What signs with one key. */
export interface OpenSigner {
  /** Rejects with Problem('signer_unavailable') when it can't be done now. */
  sign: Sign;
  /**
   * Rejects when nothing can be signed at the moment: where the last signature failed, it tries another one. For what must
   * not be begun in vain.
   */
  ready: () => Promise<void>;
}

/** All signers of an installation. */
export interface Signers {
  /** Why nothing of this installation can sign with a key; undefined when something can. */
  lackFor(key: Pick<SignersKey, 'kid' | 'signer'>): string | undefined;
  /** A new key where new keys are made, proved to sign what its public half verifies. */
  generate(algorithm: SigningAlgorithm): Promise<KeyMaterial | KeptKey>;
  /** A key that operators made in the HSM, proved in the same way. Problem('signing_key_invalid', 'signer_unavailable'). */
  adopt(wanted: WantedKey): Promise<KeptKey>;
  open(key: SignersKey): OpenSigner;
  /** Signs something and verifies it by the key's public half. Problem('signing_key_invalid', 'signer_unavailable'). */
  prove(key: SignersKey): Promise<void>;
  /** Takes away a key that was made in vain; never rejects, for what stays does no harm. */
  discard(key: KeyMaterial | KeptKey): Promise<void>;
  close(): Promise<void>;
}

/** What is counted of every signature. */
export interface SignerMetrics {
  signatureSeconds: HistogramHandle<'signer' | 'algorithm'>;
  signatureFailures: CounterHandle<'signer' | 'reason'>;
}

interface Dependencies {
  /** The signers that are configured; what is sealed in the database is always one. */
  signers: Partial<Record<SignerName, Signer>> & { sealed: Signer };
  /** Who makes new keys. */
  chosen: SignerName;
  limits: SignerLimits;
  metrics: SignerMetrics;
}

const remedies: Record<SignerName, string> = {
  sealed: '',
  pkcs11: 'set COUNTERSIGN_PKCS11_LIBRARY, COUNTERSIGN_PKCS11_TOKEN and COUNTERSIGN_PKCS11_PIN',
  remote: 'set COUNTERSIGN_SIGNER_URL and COUNTERSIGN_SIGNER_TOKEN',
};

const probe = Buffer.from('countersign');

/** Gives each key to the signer that has it, within its bounds, and measures. */
export function createSigners({ signers, chosen, limits, metrics }: Dependencies): Signers {
  const bounds = { pkcs11: createBounds(limits), remote: createBounds(limits) };

  function signerOf({ kid, signer: name }: Pick<SignersKey, 'kid' | 'signer'>): Signer {
    const signer = signers[name];
    if (signer !== undefined) return signer;
    throw new Problem('signing_key_invalid', { detail: lackOf(kid, name) });
  }

  function measured(key: SignersKey): Sign {
    const { signer, algorithm } = key;
    const bare = signerOf(key).open(key);
    const sign: Sign = signer === 'sealed' ? bare : (data) => bounds[signer](() => bare(data));
    return async (data) => {
      const begun = performance.now();
      try {
        return await sign(data);
      } catch (error) {
        metrics.signatureFailures.increment({ signer, reason: faultOf(error) });
        throw error;
      } finally {
        const seconds = (performance.now() - begun) / 1000;
        metrics.signatureSeconds.observe({ signer, algorithm }, seconds);
      }
    };
  }

  async function prove(key: SignersKey): Promise<void> {
    const { kid, algorithm, publicJwk } = key;
    const signature = await measured(key)(probe);
    if (isJwsSignature({ publicJwk, algorithm, data: probe, signature })) return;
    const detail = `what ${kid} signs does not verify by its public key`;
    throw new Problem('signing_key_invalid', { detail });
  }

  return {
    lackFor: ({ kid, signer }) => (signers[signer] === undefined ? lackOf(kid, signer) : undefined),
    prove,

    async generate(algorithm) {
      const made = await signerOf({ kid: 'a new key', signer: chosen }).generate(algorithm);
      await prove(signersKeyOf(made));
      return made;
    },

    async adopt(wanted) {
      const found = await signers.pkcs11?.adopt?.(wanted);
      if (found === undefined) {
        const detail = `keys are adopted from an HSM, and none is configured: ${remedies.pkcs11}`;
        throw new Problem('signing_key_act_refused', { detail });
      }
      await prove(signersKeyOf(found));
      return found;
    },

    open: (key) => watched(measured(key)),

    async discard(key) {
      if (!('reference' in key)) return;
      await signers[key.signer]?.discard(key).catch(() => undefined);
    },

    async close() {
      await Promise.all(Object.values(signers).map((signer) => signer.close()));
    },
  };
}

/** Remembers whether the last signature failed. */
function watched(sign: Sign): OpenSigner {
  let isDown = false;
  let probing: Promise<unknown> | undefined;
  async function signAndTell(data: Uint8Array): Promise<Buffer> {
    try {
      const signature = await sign(data);
      isDown = false;
      return signature;
    } catch (error) {
      isDown = true;
      if (error instanceof Problem) throw error;
      throw signerFailure('unavailable', 'the signature failed', error);
    }
  }
  async function ready(): Promise<void> {
    if (!isDown) return;
    // One for all who wait: the signer's places are for signatures.
    probing ??= signAndTell(probe).finally(() => (probing = undefined));
    await probing;
  }
  return {
    ready,
    async sign(data) {
      if (isDown) await ready();
      return signAndTell(data);
    },
  };
}

function lackOf(kid: string, signer: SignerName): string {
  return `${kid} is kept by the signer ${signer}, which is not configured: ${remedies[signer]}`;
}

/** New material as what signs with it. */
function signersKeyOf(key: KeyMaterial | KeptKey): SignersKey {
  if ('reference' in key) return { ...key, privateJwk: undefined };
  const publicJwk = publicJwkOf(key.privateJwk);
  return { ...key, publicJwk, signer: 'sealed', reference: undefined };
}
