import { createServer } from 'node:https';
import { X509Certificate } from 'node:crypto';
import { expect, it, vi } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
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
    ...{ initial: texts, read: () => texts, clock: { now: () => now } },
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
