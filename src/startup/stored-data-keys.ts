import type { Configuration } from '../config/schema.ts';
import { storedDataProblems } from '../config/invariants.ts';
import { developmentSecrets, isDevelopmentSecret } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
import { Refusal } from './material.ts';

/** What it takes to read and write stored data: less than a server needs, which also signs and serves. */
export interface StoredDataKeys {
  digestKey: Buffer;
  olderDigestKeys: readonly Buffer[];
  encryptionKeys: readonly Buffer[];
}

/** The keys from the configuration, or in development the created ones. Throws a {@link Refusal} in production. */
export function storedDataKeys(configuration: Configuration): StoredDataKeys {
  const files = createPrivateFiles(configuration.keysDirectory);
  const problems = storedDataProblems(configuration, isDevelopmentSecret);
  if (problems.length > 0) throw new Refusal(problems);
  const { digestKey: [digestKey, ...olderDigestKeys] = [], encryptionKeys } = configuration;
  if (digestKey !== undefined && encryptionKeys !== undefined) {
    return { digestKey, olderDigestKeys, encryptionKeys };
  }
  const created = developmentSecrets(files);
  return {
    digestKey: digestKey ?? decoded(created.digestKey),
    olderDigestKeys,
    encryptionKeys: encryptionKeys ?? [decoded(created.encryptionKey)],
  };
}

function decoded(value: string): Buffer {
  return Buffer.from(value, 'base64url');
}
