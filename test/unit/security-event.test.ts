import { describe, expect, it } from 'vitest';
import {
  checkStream,
  claimsOf,
  errorCodeIn,
  retryDelayMs,
  verdictOf,
} from '../../src/security-events/security-event.ts';
import type { ConsentEvent } from '../../src/security-events/security-event.ts';
import { streamDraft } from '../support/events.ts';

const event: ConsentEvent = {
  ...{ jti: 'j', createdAt: new Date(1_700_000_001_900), audience: 'tpp', algorithm: 'RS256' },
  ...{ consentId: 'c', version: 2, move: 'expire', state: 'expired' },
  ...{ at: new Date(1_700_000_000_000), by: 'system', reason: null, requestId: null },
  ...{ clientId: 'tpp', consentType: 'accounts' },
};

describe('An event', () => {
  it('keeps the bank’s name for a payment to itself', () => {
    const bodyOf = (move: string) =>
      Object.values(
        claimsOf({ ...event, move, reason: 'pay-1' }, 'x')['events'] as Record<string, unknown>,
      )[0];
    expect(bodyOf('consume')).not.toHaveProperty('reason');
    expect(bodyOf('revoke')).toHaveProperty('reason', 'pay-1');
  });

  it('of which nobody asked has a transaction of its own, and no reason', () => {
    expect(claimsOf(event, 'https://issuer.test')).toEqual({
      ...{ iss: 'https://issuer.test', aud: 'tpp', jti: 'j', iat: 1_700_000_001, txn: 'c:2' },
      ...{ toe: 1_700_000_000, sub_id: { format: 'opaque', id: 'c' } },
      events: {
        'urn:countersign:event:consent:expire': {
          ...{ state: 'expired', version: 2, type: 'accounts', client_id: 'tpp' },
          initiated_by: 'system',
        },
      },
    });
  });
});

describe('An answer', () => {
  it.each([
    [202, undefined, { outcome: 'delivered' }],
    [200, undefined, { outcome: 'failed', concerns: 'receiver', reason: 'status 200' }],
    [302, undefined, { outcome: 'failed', concerns: 'receiver', reason: 'status 302' }],
    [400, 'invalid_request', { outcome: 'rejected', reason: 'invalid_request' }],
    [400, 'invalid_issuer', { outcome: 'rejected', reason: 'invalid_issuer' }],
    [400, 'invalid_audience', { outcome: 'rejected', reason: 'invalid_audience' }],
    [400, 'invalid_key', { outcome: 'failed', concerns: 'receiver', reason: 'invalid_key' }],
    [400, 'access_denied', { outcome: 'failed', concerns: 'receiver', reason: 'access_denied' }],
    [400, 'their_own', { outcome: 'failed', concerns: 'event', reason: 'their_own' }],
    [400, undefined, { outcome: 'failed', concerns: 'event', reason: 'status 400' }],
    [401, undefined, { outcome: 'failed', concerns: 'receiver', reason: 'status 401' }],
    [422, undefined, { outcome: 'failed', concerns: 'event', reason: 'status 422' }],
    [429, undefined, { outcome: 'failed', concerns: 'receiver', reason: 'status 429' }],
    [503, 'invalid_request', { outcome: 'failed', concerns: 'receiver' }],
  ])('of %s and %s is judged by RFC 8935', (status, error, verdict) => {
    expect(verdictOf(status, error)).toMatchObject(verdict);
  });

  it('has an error code only where it is one', () => {
    expect(errorCodeIn('invalid_key')).toBe('invalid_key');
    for (const value of [undefined, 7, '', 'a b', '<script>', 'x'.repeat(65)]) {
      expect(errorCodeIn(value)).toBeUndefined();
    }
  });
});

describe('The wait before another attempt', () => {
  it('doubles up to its limit, and is shortened by half at most', () => {
    const delays = [1, 2, 3, 4, 30, 2_000_000].map((failures) => retryDelayMs(failures, 3000, 0));
    expect(delays).toEqual([500, 1000, 2000, 3000, 3000, 3000]);
    expect(retryDelayMs(3, 3000, 1)).toBe(1000);
    expect(retryDelayMs(0, 3000, 0)).toBe(500);
  });
});

describe('A stream', () => {
  it('is checked, and every fault named', () => {
    const fit = streamDraft({ id: 'ok', clientId: 'tpp', authorization: 'Bearer abc' });
    expect(checkStream(fit)).toBe(fit);
    expect(checkStream(streamDraft({ id: 'ok', clientId: 'a', delivery: 'poll' }))).toBeDefined();
    const faulty: [Partial<typeof fit>, string][] = [
      [{ id: 'a b' }, 'the id has'],
      [{ resourceServer: 'https://api.test' }, 'one client or one resource server'],
      [{ clientId: undefined }, 'one client or one resource server'],
      [{ endpoint: undefined }, 'https URL'],
      [{ endpoint: 'https://user@a.test/' }, 'https URL'],
      [{ endpoint: 'https://a.test/#part' }, 'https URL'],
      [{ authorization: 'Bearer a\r\nX-Other: b' }, 'the authorization is'],
      [{ authorization: 'token' }, 'the authorization is'],
      [{ authorization: `Bearer ${'a'.repeat(5000)}` }, 'the authorization is'],
      [{ delivery: 'poll' }, 'neither an endpoint nor an authorization'],
    ];
    for (const [change, fault] of faulty) {
      expect(() => checkStream({ ...fit, ...change })).toThrow(fault);
    }
    expect(() => checkStream({ ...fit, id: '', endpoint: 'x' })).toThrow(/the id.*; push needs/);
  });
});
