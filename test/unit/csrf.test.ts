import { describe, expect, it } from 'vitest';
import { createCsrf, rejectCrossSite } from '../../src/http/csrf.ts';

const csrf = createCsrf(Buffer.alloc(32, 1));
const mismatch: unknown = expect.objectContaining({ code: 'csrf_mismatch' });

describe('a CSRF token', () => {
  it('fits its binding, and each is different', () => {
    const tokens = [csrf.token('a'), csrf.token('a')];
    expect(new Set(tokens).size).toBe(2);
    for (const token of tokens) {
      expect(() => {
        csrf.verify('a', token);
      }).not.toThrow();
    }
  });

  it('fits no other binding and no other key', () => {
    expect(() => {
      csrf.verify('b', csrf.token('a'));
    }).toThrow(mismatch);
    expect(() => {
      csrf.verify('a', createCsrf(Buffer.alloc(32, 2)).token('a'));
    }).toThrow(mismatch);
  });

  it('made with the key before still fits after a change of keys', () => {
    const changed = createCsrf(Buffer.alloc(32, 2), Buffer.alloc(32, 1));
    expect(() => {
      changed.verify('a', csrf.token('a'));
    }).not.toThrow();
    expect(() => {
      csrf.verify('a', changed.token('a'));
    }).toThrow(mismatch);
  });

  it('is refused when any of its bytes is changed', () => {
    const bytes = Buffer.from(csrf.token('a'), 'base64url');
    for (const index of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(() => {
        csrf.verify('a', changed.toString('base64url'));
      }).toThrow(mismatch);
    }
  });

  it('is refused when it is cut, lengthened or no string', () => {
    const token = csrf.token('a');
    const long = Buffer.concat([Buffer.from(token, 'base64url'), Buffer.alloc(1)]);
    const wrong = [
      '',
      token.slice(0, -4),
      long.toString('base64url'),
      undefined,
      null,
      [token],
      7,
      {},
    ];
    for (const given of wrong) {
      expect(() => {
        csrf.verify('a', given);
      }).toThrow(mismatch);
    }
  });

  it('can’t be moved between salt and binding', () => {
    const bytes = Buffer.from(csrf.token('ab'), 'base64url');
    const shifted = Buffer.concat([bytes.subarray(1, 16), Buffer.from('a'), bytes.subarray(16)]);
    expect(() => {
      csrf.verify('b', shifted.toString('base64url'));
    }).toThrow(mismatch);
  });

  it('needs a key of 32 bytes', () => {
    expect(() => createCsrf(Buffer.alloc(31))).toThrow(
      expect.objectContaining({ code: 'configuration_invalid' }),
    );
  });
});

describe('a form', () => {
  const origin = 'https://auth.bank.example';
  const send = (headers: Record<string, string>) => () => {
    rejectCrossSite({ get: (field) => headers[field] ?? '' }, origin);
  };

  it.each([
    {},
    { 'Sec-Fetch-Site': 'same-origin', Origin: origin },
    { 'Sec-Fetch-Site': 'same-origin', Origin: 'null' },
    { 'Sec-Fetch-Site': 'none' },
    { Origin: origin },
  ])('with %j is accepted', (headers) => {
    expect(send(headers)).not.toThrow();
  });

  it.each([
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'cross-site', Origin: origin },
    { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://evil.example' },
    { 'Sec-Fetch-Site': 'anything' },
    { Origin: 'https://auth.bank.example.evil.example' },
    { Origin: 'http://auth.bank.example' },
    { Origin: 'https://auth.bank.example:8443' },
  ])('with %j is refused', (headers) => {
    expect(send(headers)).toThrow(mismatch);
  });
});
