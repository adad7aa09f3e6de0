import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';

/** The directory whose software statements the servers trust; the callers' process serves its keys. */
export interface BenchDirectory {
  issuer: string;
  port: number;
  /** Where its keys, and the key sets of its software, are had from. */
  origin: string;
  /** Private, ES256, with its `kid`. */
  key: JWK;
  /** Path of the directories' file. */
  file: string;
}

/** Makes the directory's key, and the file in `folder` by which the servers trust it with `resource`. */
export async function createDirectory(options: {
  folder: string;
  port: number;
  resource: string;
}): Promise<BenchDirectory> {
  const { folder, port, resource } = options;
  const issuer = 'https://directory.example.com';
  const origin = `https://localhost:${String(port)}`;
  const file = path.join(folder, 'directories.json');
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: 'directory', alg: 'ES256' };
  const declared = {
    issuer,
    keys: { url: `${origin}/keys` },
    algorithms: ['ES256'],
    maxAgeSeconds: 300,
    roles: { AISP: { [resource]: ['accounts'] }, PISP: { [resource]: ['payments'] } },
    certificate: [{ attribute: 'UID', claim: 'software_id' }],
    profile: 'fapi2',
  };
  await writeFile(file, JSON.stringify({ directories: [declared] }));
  return { issuer, port, origin, key, file };
}
