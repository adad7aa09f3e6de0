import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { createRenewableRevocation } from '../../src/startup/revocation.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { revocationList } from '../support/revocation.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const { authority } = await createTestCertificates();

function configured(environment: Record<string, string>) {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const metrics = createMetrics();
  const log = recordingLogger();
  const revocation = createRenewableRevocation(loaded.configuration, authority.certificatePem, {
    ...{ clock: systemClock, logger: log.logger, metrics },
  });
  return { revocation, metrics, log };
}

async function statusOfNameless(environment: Record<string, string>): Promise<string> {
  const { certificatePem } = await clientCertificate(authority);
  const { revocation } = configured(environment);
  return (await revocation.check([new X509Certificate(certificatePem)])).status;
}

describe('The settings for revocation', () => {
  it('let a certificate without a source pass in development, and not in production', async () => {
    expect(await statusOfNameless({})).toBe('good');
    expect(await statusOfNameless({ COUNTERSIGN_ENV: 'production' })).toBe('unknown');
  });

  it('decide about such a certificate where they say so', async () => {
    const variable = 'COUNTERSIGN_REVOCATION_WITHOUT_SOURCE';
    expect(await statusOfNameless({ [variable]: 'refuse' })).toBe('unknown');
    const accepting = { COUNTERSIGN_ENV: 'production', [variable]: 'accept' };
    expect(await statusOfNameless(accepting)).toBe('good');
  });

  it('name files, whose age is measured at once', async () => {
    const directory = await temporaryDirectory();
    const file = path.join(directory.path, 'list.crl');
    const client = await clientCertificate(authority);
    await writeFile(file, await revocationList(authority, { revoked: [client] }));
    const { revocation, metrics } = configured({ COUNTERSIGN_CRL_FILES: ` ${file},` });
    await revocation.preload();
    const text = await metrics.text();
    await directory.remove();
    expect(text).toMatch(/^countersign_revocation_list_age_seconds\{source="[^"]+"\} 3[56]\d\d/m);
    const verdict = await revocation.check([new X509Certificate(client.certificatePem)]);
    expect(verdict).toMatchObject({ status: 'revoked' });
    expect(await metrics.text()).toContain(
      'countersign_revocation_checks_total{outcome="revoked"} 1',
    );
  });

  it('go on with the authorities of another truststore at once, and with their lists alone', async () => {
    const { authority: next } = await createTestCertificates();
    const client = await clientCertificate(next);
    const { revocation, metrics } = configured({});
    const observed = vi.spyOn(metrics, 'onScrape');
    const certificate = new X509Certificate(client.certificatePem);
    expect(await revocation.check([certificate])).toMatchObject({ status: 'unknown' });
    revocation.replaceTruststore(next.certificatePem);
    expect(await revocation.check([certificate])).toEqual({ status: 'good' });
    expect(observed).not.toHaveBeenCalled(); // or the lists of before would be kept and measured for ever
  });

  it('warn where nothing is checked', async () => {
    const { log } = configured({ COUNTERSIGN_REVOCATION: 'off' });
    expect(await log.lines()).toMatchObject([
      { level: 'warn', message: 'Client certificates are not checked for revocation' },
    ]);
  });

  it.each([
    ['COUNTERSIGN_REVOCATION', 'sometimes', /closed or open or off/],
    ['COUNTERSIGN_REVOCATION_METHODS', 'ocsp,ldap', /must be ocsp, crl or both/],
    ['COUNTERSIGN_REVOCATION_METHODS', '', /must be ocsp, crl or both/],
    ['COUNTERSIGN_CRL_URLS', 'ldap://ca.example/list', /must be http or https URLs/],
    ['COUNTERSIGN_OCSP_URL', 'ca.example', /must be an http or https URL/],
    ['COUNTERSIGN_REVOCATION_CEILING', '59', /between 60 and 86400/],
  ])('refuse %s=%s', (variable, value, problem) => {
    const loaded = loadConfiguration({ [variable]: value });
    expect(loaded.ok ? [] : loaded.problems).toEqual([expect.stringMatching(problem)]);
  });
});
