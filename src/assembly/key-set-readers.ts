import type { X509Certificate } from 'node:crypto';
import { routes } from '../provider/routes.ts';
import { createReaderStore } from '../signing-keys/reader-store.ts';
import { certificateSubjectMatches } from '../tls/names/certificate-subject.ts';
import type { Parts } from './parts.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

const subjectProperties = [
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
] as const;

/** What tells, and remembers, who fetched the key set. */
export function keySetReaders(
  { keyReaderAddresses }: Pick<AppSettings, 'keyReaderAddresses'>,
  { database, keyRing, clock, logger }: AppDependencies,
  { storage, certificates }: Pick<Parts, 'storage' | 'certificates'>,
) {
  const { clients, resourceServers } = storage;

  /** By its registered name (RFC 8705 §2.1); a self-signed certificate proves nothing here. */
  async function isCertificateOf(clientId: string, certificate: X509Certificate): Promise<boolean> {
    const metadata = await clients.metadataOf(clientId);
    if (metadata?.token_endpoint_auth_method !== 'tls_client_auth') return false;
    return subjectProperties.some((property) => {
      const expected = metadata[property];
      return expected !== undefined && certificateSubjectMatches(certificate, property, expected);
    });
  }

  return {
    path: routes.jwks,
    kids: () => keyRing.kids(),
    readers: createReaderStore(database.prisma),
    resourceServers,
    certificates,
    isCertificateOf,
    addresses: keyReaderAddresses,
    clock,
    logger,
  };
}
