import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { JWK } from 'jose';
import type { TlsFiles } from './mutual-tls.ts';

/** A third party's software: what a directory knows of it, and its keys. */
export interface Software {
  name: string;
  issuer: string;
  profile: 'baseline' | 'fapi2' | 'fapi2-message-signing';
  redirectUri: string;
  resource: string;
  scopes: readonly string[];
  /** Of the connection to the bank. */
  transport: TlsFiles;
  /** Of our own website. */
  website: TlsFiles;
  /** What signs assertions and request objects; private. */
  signingKey: JWK & { alg: string; kid: string };
  /** The request that registers. */
  registration: Record<string, unknown>;
  /** The file that keeps what the bank answered. */
  registeredFile: string;
}

/** Reads what `countersign sandbox tpp <name>` wrote. */
export function readSoftware(keysDirectory: string, name: string): Software {
  const folder = path.join(keysDirectory, 'sandbox', name);
  if (!existsSync(folder)) {
    throw new Error(`There is no ${folder}: npm run countersign -- sandbox tpp ${name}`);
  }
  const text = (file: string) => readFileSync(path.join(folder, file), 'utf8');
  const shared = (file: string) => readFileSync(path.join(keysDirectory, file), 'utf8');
  const ca = shared('ca.crt');
  const { redirectUris, ...facts } = JSON.parse(text('software.json')) as Facts;
  return {
    ...facts,
    redirectUri: redirectUris[0] ?? '',
    transport: { cert: text('transport.crt'), key: text('transport.key'), ca },
    // The development authority's server certificate is for every port of localhost.
    website: { cert: shared('server.crt'), key: shared('server.key'), ca },
    signingKey: JSON.parse(text('signing.json')) as Software['signingKey'],
    registration: JSON.parse(text('registration.json')) as Record<string, unknown>,
    registeredFile: path.join(folder, 'registered.json'),
  };
}

type Facts = Pick<Software, 'name' | 'issuer' | 'profile' | 'resource' | 'scopes'> & {
  redirectUris: string[];
};
