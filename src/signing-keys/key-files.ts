import { mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createPrivateKey } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importPKCS8 } from 'jose';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { keyStages, signingAlgorithms } from './key-ring.ts';
import type { KeyStage, PrivateJwk, SigningAlgorithm, SigningKey } from './key-ring.ts';

const keyFile = z.strictObject({
  kid: z.string().regex(/^[\w-]{1,128}$/),
  algorithm: z.enum(signingAlgorithms),
  stage: z.enum(keyStages),
  createdAt: z.iso.datetime(),
  privateJwk: z.looseObject({ kty: z.enum(['RSA', 'EC', 'OKP']), d: z.string().min(1) }),
});

/** Signing keys as private files of one folder, one key a file. */
export interface KeyFiles {
  /** Every key of the folder; none when the folder does not exist. Problem('signing_key_invalid'). */
  list(): Promise<SigningKey[]>;
  /** A new key, written with mode 0600; its kid is a thumbprint (RFC 7638) behind `kidPrefix`. */
  generate(algorithm: SigningAlgorithm, stage: KeyStage, kidPrefix?: string): Promise<SigningKey>;
  /** A PKCS #8 PEM private key brought by the operator. Problem('signing_key_invalid'), also when it is there already. */
  importPem(pem: string, algorithm: SigningAlgorithm, stage: KeyStage): Promise<SigningKey>;
  /** Moves a key to another stage. Problem('signing_key_invalid') when there is none of that kid. */
  move(kid: string, stage: KeyStage): Promise<SigningKey>;
}

/** Key files in `directory`; a file that others may read is refused. */
export function createKeyFiles(directory: string, clock: Clock): KeyFiles {
  async function write(key: SigningKey): Promise<SigningKey> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const target = path.join(directory, `${key.kid}.json`);
    const { createdAt, ...rest } = key;
    const text = JSON.stringify({ ...rest, createdAt: createdAt.toISOString() }, null, 2);
    await writeFile(`${target}.new`, `${text}\n`, { mode: 0o600 });
    await rename(`${target}.new`, target);
    return key;
  }

  async function list(): Promise<SigningKey[]> {
    const names = await readdir(directory).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw new Problem('signing_key_invalid', { detail: directory, cause: error });
    });
    const files = names.filter((name) => name.endsWith('.json')).sort();
    return Promise.all(files.map((name) => readKeyFile(path.join(directory, name))));
  }

  return {
    list,

    async generate(algorithm, stage, kidPrefix = '') {
      const { privateKey } = await generateKeyPair(algorithm, {
        extractable: true,
        modulusLength: 2048,
      });
      const privateJwk = (await exportJWK(privateKey)) as PrivateJwk;
      const kid = kidPrefix + (await calculateJwkThumbprint(privateJwk));
      return write({ kid, algorithm, stage, createdAt: clock.now(), privateJwk });
    },

    async importPem(pem, algorithm, stage) {
      try {
        rejectWeakKey(pem);
        const key = await importPKCS8(pem, algorithm, { extractable: true });
        const privateJwk = (await exportJWK(key)) as PrivateJwk;
        const kid = await calculateJwkThumbprint(privateJwk);
        rejectKnownKey(kid, await list());
        return await write({ kid, algorithm, stage, createdAt: clock.now(), privateJwk });
      } catch (error) {
        if (error instanceof Problem) throw error;
        const detail = `the file is not a PKCS #8 private key for ${algorithm}`;
        throw new Problem('signing_key_invalid', { detail, cause: error });
      }
    },

    async move(kid, stage) {
      const key = (await list()).find((candidate) => candidate.kid === kid);
      if (key === undefined) throw new Problem('signing_key_invalid', { detail: `no key ${kid}` });
      return write({ ...key, stage });
    },
  };
}

/** RFC 7518 §3.3: RSA keys of 2048 bits or more. */
function rejectWeakKey(pem: string): void {
  const bits = createPrivateKey(pem).asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2048) {
    throw new Problem('signing_key_invalid', {
      detail: `an RSA key of ${String(bits)} bits is too weak`,
    });
  }
}

/** Writing it again would move it to another stage by the way. */
function rejectKnownKey(kid: string, keys: readonly SigningKey[]): void {
  if (!keys.some((key) => key.kid === kid)) return;
  throw new Problem('signing_key_invalid', { detail: `the key ${kid} is there already` });
}

async function readKeyFile(file: string): Promise<SigningKey> {
  try {
    const { mode } = await stat(file);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new Error('others may read it: run chmod 600 on it');
    }
    const parsed = keyFile.parse(JSON.parse(await readFile(file, 'utf8')));
    return { ...parsed, createdAt: new Date(parsed.createdAt) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Problem('signing_key_invalid', { detail: `${file}: ${reason}`, cause: error });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
