import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Configuration } from '../../src/config/schema.ts';
import type { DevelopmentSecrets } from '../../src/development/material.ts';
import type { ClientCertificate } from '../resource-server/trusting-fetch.ts';
import { NotAsTold } from './narrator.ts';

/** What the first start in development put into the keys folder. */
export interface World {
  issuer: string;
  /** Where the embedded database is. */
  dataDirectory: string;
  /** The development authority, PEM. */
  ca: string;
  server: ClientCertificate;
  tpp: ClientCertificate;
  otherTpp: ClientCertificate;
  customerPassword: string;
  resourceServerSecret: string;
}

/** Reads the keys folder. Throws NotAsTold when a file is missing. */
export function readWorld({ issuer, keysDirectory, dataDirectory }: Configuration): World {
  const read = (name: string) => readKeyFile(path.resolve(keysDirectory, name));
  const pair = (name: string) => ({ cert: read(`${name}.crt`), key: read(`${name}.key`) });
  const secrets = JSON.parse(read('secrets.json')) as DevelopmentSecrets;
  return {
    issuer,
    dataDirectory,
    ca: read('ca.crt'),
    server: pair('server'),
    tpp: pair('tpp'),
    otherTpp: pair('other-tpp'),
    customerPassword: secrets.customerPassword,
    resourceServerSecret: secrets.resourceServerSecret,
  };
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NotAsTold(`the server runs, but not with the keys of this folder: ${reason}`);
  }
}
