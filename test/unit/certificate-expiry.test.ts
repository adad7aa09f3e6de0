import { createServer } from 'node:https';
import { X509Certificate } from 'node:crypto';
import { expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { issueClientCertificate } from '../../src/development/certificate-authority.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { configurationProblems } from '../../src/startup/configuration-problems.ts';
import { furtherCertificates } from '../../src/startup/named-certificates.ts';
import { createServedCertificates } from '../../src/startup/served-certificates.ts';
import { createTestCertificates } from '../support/certificates.ts';
import { recordingLogger } from '../support/recording-logger.ts';

it('A certificate that ends is told once each at 30 days, 7 days, 1 day and its end', async () => {
  vi.useFakeTimers();
  const { server, authority } = await createTestCertificates();
  const end = new X509Certificate(server.certificatePem).validToDate.getTime();
  const texts = {
    tlsCertificate: server.certificatePem,
    tlsPrivateKey: server.privateKeyPem,
    clientTruststore: authority.certificatePem,
  };
  let now = new Date(end - 31 * 86_400_000);
  const log = recordingLogger();
  const certificates = createServedCertificates({
    servers: { public: createServer(), mtls: createServer() },
    ...{ initial: texts, further: [], read: () => texts, clock: { now: () => now } },
    onTruststore: () => undefined,
    ...{ logger: log.logger, metrics: createMetrics() },
  });
  certificates.start();
  const told = async () => (await log.raw()).split('A certificate expires soon').length - 1;
  const counts = [await told()];
  for (const daysLeft of [30, 29, 7, 6, 1, 0.5, 0, -1]) {
    now = new Date(end - daysLeft * 86_400_000);
    vi.advanceTimersByTime(6000);
    counts.push(await told());
  }
  await certificates.stop();
  vi.useRealTimers();
  expect(counts).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4]);
});

it('Every certificate that is configured is measured, and told when it ends', async () => {
  const { server, authority, foreignAuthority } = await createTestCertificates();
  const clock = { now: () => new Date(endOf(server.certificatePem) - 7 * 86_400_000) };
  const soon = await issueClientCertificate(authority, {
    subject: 'CN=countersign',
    notAfter: new Date(endOf(server.certificatePem) - 6 * 86_400_000),
    clock: systemClock,
  });
  const client = { certificate: soon.certificatePem, key: soon.privateKeyPem };
  const configuration = loadConfiguration({
    COUNTERSIGN_ACCOUNTS_CERTIFICATE: client.certificate,
    COUNTERSIGN_ACCOUNTS_PRIVATE_KEY: client.key,
    COUNTERSIGN_SIGNER_CERTIFICATE: client.certificate,
    COUNTERSIGN_SIGNER_PRIVATE_KEY: client.key,
    COUNTERSIGN_SIGNER_TRUSTSTORE: authority.certificatePem + foreignAuthority.certificatePem,
    COUNTERSIGN_OUTBOUND_TRUSTSTORE: authority.certificatePem,
    COUNTERSIGN_PROXY_TRUSTSTORE: foreignAuthority.certificatePem,
  });
  if (!configuration.ok) throw new Error(configuration.problems.join());
  const log = recordingLogger();
  const metrics = createMetrics();
  const texts = {
    tlsCertificate: server.certificatePem,
    tlsPrivateKey: server.privateKeyPem,
    clientTruststore: authority.certificatePem,
  };
  const certificates = createServedCertificates({
    servers: { public: createServer(), mtls: createServer() },
    ...{ initial: texts, read: () => texts, clock, onTruststore: () => undefined },
    further: furtherCertificates(configuration.configuration, clock),
    ...{ logger: log.logger, metrics },
  });
  certificates.start();
  await certificates.stop();
  const measured = await metrics.text();
  for (const [name, pem] of [
    ['server', server.certificatePem],
    ['client_authorities', authority.certificatePem],
    ['accounts_client', client.certificate],
    ['key_service_client', client.certificate],
    ['key_service_authorities', authority.certificatePem],
    ['outbound_authorities', authority.certificatePem],
    ['proxy_authorities', foreignAuthority.certificatePem],
  ] as const) {
    const seconds = (endOf(pem) - clock.now().getTime()) / 1000;
    const line = new RegExp(`certificate_expiry_seconds\\{name="${name}"\\} (\\d+)`).exec(measured);
    expect(Math.abs(Number(line?.[1]) - seconds)).toBeLessThan(2);
  }
  const warned = (await log.lines()).filter(({ message }) => message.includes('expires soon'));
  expect(warned.map(({ certificate }) => certificate).sort()).toEqual(
    expect.arrayContaining(['accounts_client', 'key_service_client', 'server']),
  );
});

it('What is only measured keeps no server from starting: ended, pinned, unreadable; the last is told', async () => {
  const { authority, server } = await createTestCertificates();
  const ended = await issueClientCertificate(authority, {
    subject: 'CN=ended',
    notAfter: new Date(systemClock.now().getTime() - 86_400_000),
    clock: { now: () => new Date(systemClock.now().getTime() - 10 * 86_400_000) },
  });
  const environment = {
    COUNTERSIGN_SIGNER_TRUSTSTORE: ended.certificatePem,
    COUNTERSIGN_OUTBOUND_TRUSTSTORE: server.certificatePem,
    COUNTERSIGN_ACCOUNTS_CERTIFICATE: 'no certificate',
  };
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new Error(loaded.problems.join());
  const measured = furtherCertificates(loaded.configuration, systemClock);
  expect(measured.map(({ name }) => name)).toEqual([
    'key_service_authorities',
    'outbound_authorities',
  ]);
  expect(await configurationProblems(environment, systemClock)).toEqual([
    "COUNTERSIGN_ACCOUNTS_CERTIFICATE can't be read: give it as PEM",
  ]);
});

function endOf(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}
