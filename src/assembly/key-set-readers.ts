import { routes } from '../provider/routes.ts';
import { createReaderStore } from '../signing-keys/reader-store.ts';
import type { Parts } from './parts.ts';
import { createCertificateOwners } from './resource-server-authentication.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** What tells, and remembers, who fetched the key set. */
export function keySetReaders(
  { keyReaderAddresses }: Pick<AppSettings, 'keyReaderAddresses'>,
  { database, keyRing, clock, logger }: AppDependencies,
  { storage, certificates }: Pick<Parts, 'storage' | 'certificates'>,
) {
  const { resourceServers } = storage;

  return {
    path: routes.jwks,
    kids: () => keyRing.kids(),
    readers: createReaderStore(database.prisma),
    resourceServers,
    certificates,
    isCertificateOf: createCertificateOwners(storage),
    addresses: keyReaderAddresses,
    clock,
    logger,
  };
}
