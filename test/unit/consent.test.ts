import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consentIdFrom,
  consentMoves,
  consentStates,
  endsAccess,
  faultsOf,
  isConsentId,
  isFinal,
  moveThatIsDue,
  presentState,
  stateAfter,
} from '../../src/consents/consent.ts';
import type { ConsentMove, ConsentState, ConsentTerms } from '../../src/consents/consent.ts';
import { plain } from '../../src/consents/regimes/plain.ts';
import { uk } from '../../src/consents/regimes/uk.ts';
import { Problem } from '../../src/problem.ts';

const now = new Date('2026-11-22T08:00:00Z');
const hours = (count: number) => new Date(now.getTime() + count * 3_600_000);

/** The life of a consent as issue and standard tell it, written down once more. */
const model: Record<ConsentState, Partial<Record<ConsentMove, ConsentState>>> = {
  'awaiting-authorisation': {
    authorise: 'authorised',
    reject: 'rejected',
    withdraw: 'rejected',
    lapse: 'rejected',
  },
  authorised: {
    reauthenticate: 'authorised',
    change: 'authorised',
    revoke: 'revoked',
    expire: 'expired',
    consume: 'consumed',
  },
  rejected: {},
  revoked: {},
  expired: {},
  consumed: {},
};

const moves = fc.constantFrom(...(Object.keys(consentMoves) as ConsentMove[]));

function attempt(state: ConsentState, move: ConsentMove): ConsentState | 'refused' {
  try {
    return stateAfter(state, move);
  } catch (error) {
    expect(error).toMatchObject({ code: 'consent_state' });
    expect(error).toBeInstanceOf(Problem);
    return 'refused';
  }
}

describe('the life of a consent', () => {
  it('follows the model, whatever is tried in whatever order', () => {
    fc.assert(
      fc.property(fc.array(moves, { maxLength: 30 }), (tried) => {
        let state: ConsentState = 'awaiting-authorisation';
        for (const move of tried) {
          const expected: ConsentState | undefined = model[state][move];
          expect(attempt(state, move)).toBe(expected ?? 'refused');
          state = expected ?? state;
        }
      }),
    );
  });

  it.each(consentStates)('tells whether %s is final', (state) => {
    expect(isFinal(state)).toBe(['rejected', 'revoked', 'expired', 'consumed'].includes(state));
  });

  it('ends access with every move to a final state, and with no other', () => {
    const ending = (Object.keys(consentMoves) as ConsentMove[]).filter(endsAccess);
    expect(ending).toEqual(['reject', 'withdraw', 'lapse', 'revoke', 'expire', 'consume']);
  });

  it.each([
    ['awaiting-authorisation', hours(1), undefined, undefined],
    ['awaiting-authorisation', now, undefined, 'lapse'],
    ['awaiting-authorisation', hours(1), now, 'lapse'],
    ['authorised', hours(-9), hours(1), undefined],
    ['authorised', hours(-9), undefined, undefined],
    ['authorised', hours(-9), now, 'expire'],
    ['revoked', hours(-9), hours(-1), undefined],
  ] as const)('what is %s, to be decided by %s, until %s: %s', (...row) => {
    const [state, decideBy, expiresAt, due] = row;
    const times = { state, decideBy, expiresAt };
    expect(moveThatIsDue(times, now)).toBe(due);
    expect(presentState(times, now)).toBe(due === undefined ? state : consentMoves[due].to);
  });
});

describe('consent ids', () => {
  it('are known by their shape', () => {
    expect(isConsentId(consentIdFrom('a'.repeat(32)))).toBe(true);
    for (const other of [
      '',
      'a'.repeat(43),
      'urn:countersign:consent:',
      `${consentIdFrom('a'.repeat(32))} b`,
      7,
    ]) {
      expect(isConsentId(other)).toBe(false);
    }
  });
});

const accounts = (permissions: string[], more: Partial<ConsentTerms> = {}): ConsentTerms => ({
  type: 'accounts',
  permissions,
  ...more,
});

const payment = {
  amount: '10.50',
  currency: 'GBP',
  payee: {
    scheme: 'UK.OBIE.SortCodeAccountNumber',
    identification: '08080021325698',
    name: 'ACME',
  },
};

const members = (terms: ConsentTerms, regime = uk) =>
  faultsOf(terms, regime, now).map(({ member }) => member);

describe('terms in the UK', () => {
  it.each([
    [['ReadAccountsBasic']],
    [['ReadAccountsDetail', 'ReadAccountsBasic', 'ReadBalances']],
    [['ReadAccountsBasic', 'ReadTransactionsDetail', 'ReadTransactionsDebits']],
  ])('accept %j', (permissions) => {
    expect(members(accounts(permissions))).toEqual([]);
  });

  it.each([
    [[]],
    [['ReadBalances']],
    [['ReadAccountsBasic', 'ReadEverything']],
    [['ReadAccountsBasic', 'toString']],
    [['ReadAccountsBasic', 'ReadTransactionsBasic']],
    [['ReadAccountsBasic', 'ReadTransactionsDetail']],
    [['ReadAccountsBasic', 'ReadTransactionsCredits']],
    [['ReadAccountsBasic', 'ReadTransactionsDebits']],
  ])('refuse %j', (permissions) => {
    expect(members(accounts(permissions))).toContain('permissions');
  });

  it('may be open-ended, but must not end in the past or run backwards', () => {
    const asked = ['ReadAccountsBasic'];
    expect(members(accounts(asked, { expiresAt: hours(24 * 4000) }))).toEqual([]);
    expect(members(accounts(asked, { expiresAt: now }))).toEqual(['expiresAt']);
    expect(
      members(accounts(asked, { transactionsFrom: hours(2), transactionsTo: hours(1) })),
    ).toEqual(['transactionsFrom']);
  });

  it('need a payment with an amount, without permissions', () => {
    expect(members({ type: 'payment', permissions: [], payment })).toEqual([]);
    expect(members({ type: 'payment', permissions: [] })).toEqual(['payment']);
    expect(members({ type: 'payment', permissions: ['ReadBalances'], payment })).toEqual([
      'permissions',
    ]);
    const nothing = { ...payment, amount: '0.00' };
    expect(members({ type: 'payment', permissions: [], payment: nothing })).toEqual(['payment']);
  });

  it('need an account whose funds are confirmed', () => {
    expect(members({ type: 'funds-confirmation', permissions: [] })).toEqual(['account']);
    const account = { scheme: 'IBAN', identification: 'DE02120300000000202051' };
    expect(members({ type: 'funds-confirmation', permissions: [], account })).toEqual([]);
  });

  it('say of every permission in which cluster it is shown, and need only permissions that exist', () => {
    for (const regime of [uk, plain]) {
      for (const rule of Object.values(regime.permissions)) {
        expect(rule.cluster).not.toBe('');
        for (const name of (rule.needs ?? []).flat())
          expect(regime.permissions).toHaveProperty(name);
      }
    }
  });
});

describe('plain terms', () => {
  it('end after 180 days at the latest', () => {
    const until = (days: number) => accounts(['balances'], { expiresAt: hours(24 * days) });
    expect(members(until(180), plain)).toEqual([]);
    expect(members(until(181), plain)).toEqual(['expiresAt']);
    expect(members(accounts(['balances']), plain)).toEqual(['expiresAt']);
  });
});
