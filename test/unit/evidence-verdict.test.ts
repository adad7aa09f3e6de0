import { beforeAll, describe, expect, it } from 'vitest';
import { chained, evidenceOf } from '../../src/consents/evidence/evidence.ts';
import type { EvidenceBundle, EvidenceMove } from '../../src/consents/evidence/evidence-files.ts';
import { openEvidence, signEvidence } from '../../src/consents/evidence/evidence-signature.ts';
import { inconsistenciesOf } from '../../src/consents/evidence/evidence-verdict.ts';
import { notProvenBy } from '../../src/consents/evidence/evidence-words.ts';
import {
  account,
  at,
  consent,
  moves,
  newBundle,
  newSigner,
  row,
  shown,
  tokens,
} from '../support/evidence.ts';
import type { TestSigner } from '../support/evidence.ts';

let ours: TestSigner;

beforeAll(async () => {
  ours = await newSigner('ours');
});

type Change = (bundle: EvidenceBundle) => unknown;

/** The history with an entry changed, and all digests made anew: what whoever has the key could write. */
function withMove(index: number, change: Partial<EvidenceMove>): Change {
  return (bundle) => {
    const bare = bundle.history.map(({ digest: _digest, ...entry }) => entry);
    bundle.history = chained(bare.map((one, i) => (i === index ? { ...one, ...change } : one)));
    bundle.history_digest = bundle.history.at(-1)?.digest ?? '';
  };
}

function withToken(change: Partial<EvidenceBundle['tokens'][number]>): Change {
  return ({ tokens: issued }) => {
    Object.assign(issued[0] ?? {}, change);
  };
}

describe('A signed bundle contradicts itself', () => {
  it.each<[string, Change, RegExp]>([
    [
      'a digest',
      ({ history }) => (history[1] = { ...(history[1] as EvidenceMove), address: '::1' }),
      /digest of move 2/,
    ],
    ['the last digest', (bundle) => (bundle.history_digest = 'x'.repeat(43)), /whole history/],
    ['a move left out', ({ history }) => history.splice(1, 1), /move 3|digest/],
    ['the order', ({ history }) => history.reverse(), /digest/],
    ['an illegal move', withMove(2, { move: 'withdraw', state: 'rejected' }), /can not lead/],
    ['a first move that is none', withMove(0, { move: 'authorise' }), /can not lead from nothing/],
    ['a version', withMove(2, { version: 4 }), /should have version 3/],
    ['time', withMove(2, { at: at(1).toISOString() }), /before the one before/],
    [
      'the page',
      withMove(1, { page: { locale: 'en', digest: 'y'.repeat(43), shown } }),
      /page of move 2/,
    ],
    ['a decision without a login', withMove(1, { authentication: undefined }), /lacks the page/],
    [
      'a decision by the client',
      withMove(1, { by: { type: 'client', id: 'tpp' } }),
      /by a customer/,
    ],
    [
      'another customer',
      withMove(1, { by: { type: 'customer', id: 'robin' } }),
      /another customer/,
    ],
    ['another client', withMove(0, { by: { type: 'client', id: 'x' } }), /the consent's client/],
    [
      'the state',
      ({ consent: told }) => (told.state = 'authorised'),
      /its history ends with revoked/,
    ],
    [
      'terms that were not lodged',
      ({ consent: told }) => told.permissions.push('ReadBalances'),
      /permissions is not as it was lodged/,
    ],
    [
      'a lodging with other terms',
      withMove(0, { lodged: { type: 'accounts', permissions: [] } }),
      /permissions is not as it was lodged/,
    ],
    ['the type', ({ consent: told }) => (told.type = 'payment'), /type is not as it was lodged/],
    [
      'an account that was not chosen',
      ({ consent: told }) => told.accounts.push({ ...account, id: 'a2' }),
      /accounts are not those that were chosen last/,
    ],
    [
      'accounts that were chosen otherwise',
      withMove(1, { accounts: [{ ...account, id: 'a2' }] }),
      /accounts are not those that were chosen last/,
    ],
    [
      'a later end',
      ({ consent: told }) => (told.expires_at = at(99_000).toISOString()),
      /end is not the one that was set last/,
    ],
    [
      'no end',
      ({ consent: told }) => {
        delete told.expires_at;
      },
      /end is not the one that was set last/,
    ],
    [
      'the time of its first move',
      ({ consent: told }) => (told.created_at = at(-1).toISOString()),
      /not created when its first move was/,
    ],
    [
      'the time of its last change',
      ({ consent: told }) => (told.changed_at = at(2).toISOString()),
      /has not changed when its state did last/,
    ],
    [
      'no customer',
      ({ consent: told }) => {
        delete told.customer_id;
      },
      /customer is not who authorised it/,
    ],
    [
      'a first move by the bank',
      withMove(0, { by: { type: 'operator', id: 'tpp' } }),
      /the consent's client/,
    ],
    [
      'time, beyond what clocks differ',
      (bundle) => {
        withMove(1, { at: '2026-11-22T08:02:06Z' })(bundle);
        withMove(2, { at: '2026-11-22T08:02:00Z' })(bundle);
      },
      /move 3 \(revoke\) is before the one before/,
    ],
    [
      'a move after it was stated',
      withMove(2, { at: at(31).toISOString() }),
      /after the statement/,
    ],
    ['a token after the end', withToken({ issued_at: at(20).toISOString() }), /did not stand/],
    ['a token of another client', withToken({ client_id: 'x' }), /another client's/],
  ])('by %s', async (_name, change, fault) => {
    const bundle = newBundle();
    change(bundle);
    const opened = await openEvidence(await signEvidence(bundle, ours), { keys: [ours.publicJwk] });
    expect(opened).toEqual({ bundle, kid: 'ours', algorithm: 'ES256' });
    expect(inconsistenciesOf(bundle).join('; ')).toMatch(fault);
  });

  it('not by what its customer has set since', () => {
    const other = { ...account, id: 'a2' };
    const step = { ...row, state: 'authorised', actorType: 'customer', actorId: 'casey' };
    const page = { textLocale: 'en', textDigest: moves[1]?.textDigest ?? null };
    const changed = { ...step, ...page, version: 3, at: at(4), move: 'change' };
    const renewed = { ...step, ...page, version: 4, at: at(5), move: 'reauthenticate' };
    const authentication = { amr: ['pwd'] };
    const set = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30), tokens },
      consent: {
        ...{ ...consent, state: 'authorised', changedAt: at(2), version: 4 },
        ...{ expiresAt: at(500), accounts: [other] },
      },
      moves: [
        ...moves.slice(0, 2),
        { ...changed, content: { shown, expiresAt: at(500).toISOString() } },
        { ...renewed, content: { shown, authentication, accounts: [other] } },
      ],
    });
    expect(inconsistenciesOf(set)).toEqual([]);
    set.consent.accounts = [account];
    expect(inconsistenciesOf(set)).toEqual([
      'the consent’s accounts are not those that were chosen last',
    ]);
  });

  it('not by the end of a payment that named none', () => {
    const payment = {
      amount: '1.00',
      currency: 'GBP',
      payee: { scheme: 's', identification: 'i' },
    };
    const lodged = { type: 'payment', permissions: [], payment };
    const [created = expect.unreachable(), ...others] = moves;
    const paid = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30), tokens },
      consent: { ...consent, type: 'payment', permissions: [], payment, expiresAt: at(1440) },
      moves: [{ ...created, content: { lodged } }, ...others],
    });
    expect(inconsistenciesOf(paid)).toEqual([]);
    paid.consent.payment = { ...payment, amount: '2.00' };
    expect(inconsistenciesOf(paid)).toEqual(['the consent’s payment is not as it was lodged']);
  });

  it('not by the clocks of two processes', () => {
    const [created = expect.unreachable(), decided = expect.unreachable(), ...others] = moves;
    const behind = { ...decided, at: new Date(created.at.getTime() - 4000) };
    const bundle = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30) },
      ...{ consent, moves: [created, behind, ...others], tokens },
    });
    expect(inconsistenciesOf(bundle)).toEqual([]);
  });

  it('not by what only time has ended', () => {
    const late = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(9001) },
      consent: { ...consent, state: 'expired', changedAt: at(2) },
      ...{ moves: moves.slice(0, 2), tokens },
    });
    expect(inconsistenciesOf(late)).toEqual([]);
  });

  it('not by a history from before contents were kept, which proves less', () => {
    const older = moves.map((one) => ({ ...one, content: undefined }));
    const bundle = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30) },
      ...{ consent, moves: older, tokens },
    });
    expect(inconsistenciesOf(bundle)).toEqual([]);
    const lacking = notProvenBy(bundle).join('\n');
    expect(lacking).toContain('of which only the digest was kept');
    expect(lacking).toContain('How the customer had logged in for 1 decisions');
    expect(notProvenBy(newBundle()).join('\n')).not.toContain('logged in');
  });
});
