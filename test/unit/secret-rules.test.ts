import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isPatterned } from '../../src/config/invariants.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { signerProblems } from '../../src/startup/signers.ts';

describe('A secret of 32 bytes', () => {
  it('is taken when it is random', () => {
    for (let turn = 0; turn < 5000; turn += 1) expect(isPatterned(randomBytes(32))).toBe(false);
  });

  it.each([
    ['zeros', Buffer.alloc(32)],
    ['few different bytes', Buffer.alloc(32, 'secret')],
    ['text', Buffer.from('change-me-before-you-go-live-42!')],
    ['base64 of base64', Buffer.from('q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ')],
    ['a counter', Buffer.from(Array.from({ length: 32 }, (_, index) => index))],
    [
      'a counter in threes',
      Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 3) % 256)),
    ],
    ['one half twice', Buffer.concat([Buffer.alloc(16, randomBytes(16)), Buffer.alloc(0)])],
  ])('that is %s is refused', (name, key) => {
    const whole = name === 'one half twice' ? Buffer.concat([key, key]) : key;
    expect(whole).toHaveLength(32);
    expect(isPatterned(whole)).toBe(true);
  });
});

const production = {
  COUNTERSIGN_ENV: 'production',
  COUNTERSIGN_SIGNER_URL: 'https://vault.bank.example/v1/transit',
  COUNTERSIGN_SIGNER_TOKEN: 'hvs.k7V2mQ9xT4bL1sZ8',
};

function problemsWith(environment: Record<string, string>): string {
  const loaded = loadConfiguration({ ...production, ...environment });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return signerProblems(loaded.configuration).join('\n');
}

describe('What opens an HSM or key service', () => {
  it('is taken when it is its own and hard to guess', () => {
    expect(problemsWith({})).toBe('');
  });

  it.each([
    [{ COUNTERSIGN_SIGNER_TOKEN: 'short' }, /SIGNER_TOKEN is short or easily guessed/],
    [{ COUNTERSIGN_SIGNER_TOKEN: 'a'.repeat(30) }, /SIGNER_TOKEN is short or easily guessed/],
    [{ COUNTERSIGN_PKCS11_PIN: '1234' }, /PKCS11_PIN is short or easily guessed/],
    [{ COUNTERSIGN_PKCS11_PIN: '12345678' }, /PKCS11_PIN is short or easily guessed/],
    [{ COUNTERSIGN_PKCS11_PIN: 'abcdefgh' }, /PKCS11_PIN is short or easily guessed/],
    [
      { COUNTERSIGN_PKCS11_PIN: production.COUNTERSIGN_SIGNER_TOKEN },
      /SIGNER_TOKEN repeats another secret/,
    ],
    [
      { COUNTERSIGN_PKCS11_PIN: '73519486' },
      /PKCS11_LIBRARY is not set, which COUNTERSIGN_PKCS11_PIN needs/,
    ],
    [
      { COUNTERSIGN_KEY_SIGNER: 'pkcs11' },
      /PKCS11_TOKEN is not set, which COUNTERSIGN_KEY_SIGNER needs/,
    ],
    [{ COUNTERSIGN_SIGNER_CERTIFICATE: 'PEM' }, /SIGNER_PRIVATE_KEY is not set/],
  ] as const)('is refused otherwise: %j', (environment, reason) => {
    expect(problemsWith(environment)).toMatch(reason);
  });

  it('must not be one of the server’s own secrets', () => {
    const key = randomBytes(32).toString('base64url');
    expect(problemsWith({ COUNTERSIGN_COOKIE_KEYS: key, COUNTERSIGN_SIGNER_TOKEN: key })).toContain(
      'COUNTERSIGN_SIGNER_TOKEN repeats another secret',
    );
  });

  it('is refused for an address without TLS', () => {
    const loaded = loadConfiguration({ COUNTERSIGN_SIGNER_URL: 'http://vault.bank.example' });
    expect(loaded).toMatchObject({ ok: false });
  });
});
