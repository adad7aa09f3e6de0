import { mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { generateKey } from './key-material.ts';
import { signingAlgorithms } from './key-ring.ts';
import type { SigningAlgorithm } from './key-ring.ts';
import type { BroughtKey } from './rotation.ts';

const fileStages = ['announced', 'active', 'retired'] as const;

const keyFile = z.strictObject({
  kid: z.string().regex(/^[\w-]{1,128}$/),
  algorithm: z.enum(signingAlgorithms),
  stage: z.enum(fileStages),
  createdAt: z.iso.datetime(),
  privateJwk: z.looseObject({ kty: z.enum(['RSA', 'EC', 'OKP']), d: z.string().min(1) }),
});

/** Signing keys as private files of one folder, one key a file: what development makes, and operators bring. */
export interface KeyFiles {
  /** Every key of the folder; none when the folder does not exist. Problem('signing_key_invalid'). */
  list(): Promise<BroughtKey[]>;
  /** A new key, written with mode 0600; its kid is a thumbprint (RFC 7638) behind `kidPrefix`. */
  generate(
    algorithm: SigningAlgorithm,
    stage: BroughtKey['stage'],
    kidPrefix?: string,
  ): Promise<BroughtKey>;
}

/** Key files in `directory`; a file that others may read is refused. */
export function createKeyFiles(directory: string, clock: Clock): KeyFiles {
  async function write(key: BroughtKey): Promise<BroughtKey> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const target = path.join(directory, `${key.kid}.json`);
    const { createdAt, ...rest } = key;
    const text = JSON.stringify({ ...rest, createdAt: createdAt.toISOString() }, null, 2);
    await writeFile(`${target}.new`, `${text}\n`, { mode: 0o600 });
    await rename(`${target}.new`, target);
    return key;
  }

  return {
    async list() {
      const names = await readdir(directory).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw new Problem('signing_key_invalid', { detail: directory, cause: error });
      });
      const files = names.filter((name) => name.endsWith('.json')).sort();
      return Promise.all(files.map((name) => readKeyFile(path.join(directory, name))));
    },

    async generate(algorithm, stage, kidPrefix) {
      const key = await generateKey(algorithm, kidPrefix);
      return write({ ...key, stage, createdAt: clock.now() });
    },
  };
}

async function readKeyFile(file: string): Promise<BroughtKey> {
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
