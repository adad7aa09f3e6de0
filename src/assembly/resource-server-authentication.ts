import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { CertificateSource } from '../tls/certificate-source.ts';
import { certificateSubjectMatches } from '../tls/names/certificate-subject.ts';
import { askingServer, askingServers } from './asking-servers.ts';
import type { Storage } from './storage.ts';

const subjectProperties = [
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
] as const;

/** Tells whether a certificate is that of a client, by its registered name (RFC 8705 §2.1). */
export function createCertificateOwners({ clients }: Pick<Storage, 'clients'>) {
  /** A self-signed certificate proves nothing here. */
  return async function isCertificateOf(
    clientId: string,
    certificate: X509Certificate,
  ): Promise<boolean> {
    const metadata = await clients.metadataOf(clientId);
    if (metadata?.token_endpoint_auth_method !== 'tls_client_auth') return false;
    return subjectProperties.some((property) => {
      const expected = metadata[property];
      return expected !== undefined && certificateSubjectMatches(certificate, property, expected);
    });
  };
}

/** Says which resource server a request is from: by its introspection client's secret, or by that client's certificate. */
export function createServerAuthentication(
  storage: Storage,
  certificates: Pick<CertificateSource, 'of'>,
) {
  const bySecret = askingServers(storage);
  const isCertificateOf = createCertificateOwners(storage);

  async function byCertificate(request: IncomingMessage) {
    const presented = certificates.of(request);
    if (presented === undefined || presented.refusal !== undefined) return undefined;
    for (const server of await storage.resourceServers.list()) {
      const { introspectionClientId: clientId } = server;
      if (clientId === undefined) continue;
      if (await isCertificateOf(clientId, presented.certificate)) {
        return askingServer(server, clientId);
      }
    }
    return undefined;
  }

  return (
    request: IncomingMessage,
    credentials: { id: string; secret: string } | undefined,
  ): Promise<ReturnType<typeof askingServer> | undefined> =>
    credentials === undefined
      ? byCertificate(request)
      : bySecret(credentials.id, credentials.secret);
}
