import { systemClock } from '../../src/clock.ts';
import {
  createCertificateAuthority,
  issueClientCertificate,
  issueServerCertificate,
  type ClientCertificateOptions,
  type IssuedCertificate,
} from '../../src/development/certificate-authority.ts';

/** A bank's certificates: one trusted authority, one foreign one, and a server for localhost. */
export interface TestCertificates {
  readonly authority: IssuedCertificate;
  readonly foreignAuthority: IssuedCertificate;
  readonly server: IssuedCertificate;
}

/** What a test may say about a client certificate; the subject is `testSubject` unless given. */
export type TestClientOptions = Partial<Omit<ClientCertificateOptions, 'clock'>>;

/** The subject of the certificates below, as a client would register it. */
export const testSubject = 'CN=tpp-1,O=Example TPP\\, Ltd,2.5.4.97=PSDGB-FCA-123456,C=GB';

const day = 86_400_000;

/**
 * Makes the certificates, EC keys only, in a few milliseconds. They are valid by the machine's
 * clock, because OpenSSL verifies chains with it.
 */
export async function createTestCertificates(): Promise<TestCertificates> {
  const [authority, foreignAuthority] = await Promise.all([
    createCertificateAuthority({ clock: systemClock, commonName: 'Test CA' }),
    createCertificateAuthority({ clock: systemClock, commonName: 'Foreign CA' }),
  ]);
  const server = await serverCertificate(authority);
  return { authority, foreignAuthority, server };
}

/** A server certificate for localhost and 127.0.0.1, or for the given names. */
export function serverCertificate(
  authority: IssuedCertificate,
  hostnames: readonly [string, ...string[]] = ['localhost', '127.0.0.1', '::1'],
): Promise<IssuedCertificate> {
  return issueServerCertificate(authority, { hostnames, clock: systemClock });
}

/** A client certificate that is in order, apart from what the options say. */
export function clientCertificate(
  authority: IssuedCertificate,
  options: TestClientOptions = {},
): Promise<IssuedCertificate> {
  return issueClientCertificate(authority, {
    subject: testSubject,
    ...options,
    clock: systemClock,
  });
}

/** A client certificate signed by its own key. */
export function selfSignedClientCertificate(
  options: TestClientOptions = {},
): Promise<IssuedCertificate> {
  return issueClientCertificate(undefined, {
    subject: testSubject,
    ...options,
    clock: systemClock,
  });
}

/** A client certificate that expired an hour ago. */
export function expiredClientCertificate(
  authority: IssuedCertificate,
  options: TestClientOptions = {},
): Promise<IssuedCertificate> {
  const now = systemClock.now().getTime();
  return clientCertificate(authority, {
    ...options,
    notBefore: new Date(now - 2 * day),
    notAfter: new Date(now - day / 24),
  });
}

/** A client certificate that becomes valid tomorrow. */
export function notYetValidClientCertificate(
  authority: IssuedCertificate,
  options: TestClientOptions = {},
): Promise<IssuedCertificate> {
  const now = systemClock.now().getTime();
  return clientCertificate(authority, {
    ...options,
    notBefore: new Date(now + day),
    notAfter: new Date(now + 2 * day),
  });
}
