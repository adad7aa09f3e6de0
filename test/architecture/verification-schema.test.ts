import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../src/config/load.ts';
import { readVerificationFile } from '../../src/config/verification-file.ts';
import { verificationProblems } from '../../src/startup/verification.ts';
import { verificationSchema } from '../../tools/verification-schema.ts';
import { textOf } from './repository-files.ts';

const example = path.resolve(import.meta.dirname, '../../examples/verification/suite.json');

describe('The published schema of verification files', () => {
  it('is what the server reads by (node tools/update-verification-schema.ts)', async () => {
    const published: unknown = JSON.parse(await textOf('docs/verification-file.schema.json'));
    expect(published).toEqual(verificationSchema());
  });

  it('names what there must be, and allows nothing that it does not name', () => {
    expect(verificationSchema()).toMatchObject({
      required: ['issuer', 'mtlsOrigin'],
      additionalProperties: false,
    });
  });
});

describe('The example of a verification file', () => {
  it('would be taken', async () => {
    const verification = readVerificationFile(example);
    const loaded = loadConfiguration(verification.environment);
    expect(loaded.ok ? [] : loaded.problems).toEqual([]);
    if (!loaded.ok) return;
    expect(await verificationProblems(verification, loaded.configuration)).toEqual([]);
  });

  it('has a client for each profile', () => {
    const { clients } = readVerificationFile(example).configuration;
    const profiles = clients.map(({ metadata }) => metadata['security_profile'] ?? 'baseline');
    expect(new Set(profiles)).toEqual(new Set(['baseline', 'fapi2', 'fapi2-message-signing']));
  });
});
