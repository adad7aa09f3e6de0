import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MoveFacts } from '../../src/consents/consent-store.ts';
import { consentMoves, consentStates } from '../../src/consents/consent.ts';
import type { ConsentMove, ConsentState } from '../../src/consents/consent.ts';
import { sha256 } from '../../src/security/secrets.ts';
import {
  byTime,
  casey,
  consentGround,
  decided,
  later,
  lodged,
  payment,
  savings,
  start,
} from '../support/consent-ground.ts';
import { atOnce, values } from '../support/store.ts';

const world = consentGround();

describe('A consent', () => {
  it('is found as it was lodged, and in clear nowhere', async () => {
    const { consent, isNew } = await world.consents().insert({ ...lodged, terms: payment });
    expect(isNew).toBe(true);
    expect(await world.elsewhere().find(consent.id)).toEqual(consent);
    expect(consent).toMatchObject({
      ...payment,
      clientId: 'tpp',
      regime: 'uk',
      state: 'awaiting-authorisation',
      customerId: undefined,
      accounts: [],
      createdAt: start,
      expiresAt: later(86_400),
    });
    const [row] = await world.prisma().$queryRaw<{ terms: Uint8Array }[]>`
      SELECT terms FROM consents WHERE id = ${consent.id}`;
    expect(Buffer.from(row?.terms ?? []).toString('latin1')).not.toContain('08080021325698');
  });

  it('remembers who authorised it, how, and which accounts they chose', async () => {
    const id = await world.lodge();
    world.setTime(later(60));
    await world.consents().move(id, 'authorise', decided);
    expect(await world.elsewhere().find(id)).toMatchObject({
      state: 'authorised',
      customerId: casey,
      accounts: [savings],
      acr: 'urn:example:acr',
      amr: ['pwd', 'otp'],
      authenticatedAt: start,
      changedAt: later(60),
      expiresAt: later(3600),
      transactionsFrom: later(-86_400),
    });
    expect(await world.consents().listOf(casey)).toContainEqual(await world.consents().find(id));
  });

  it('has a history that tells every step and can not be rewritten', async () => {
    const id = await world.consentIn('revoked');
    const history = await world.consents().history(id);
    expect(history.map(({ version, move, state }) => ({ version, move, state }))).toEqual([
      { version: 1, move: 'create', state: 'awaiting-authorisation' },
      { version: 2, move: 'authorise', state: 'authorised' },
      { version: 3, move: 'revoke', state: 'revoked' },
    ]);
    expect(history[0]?.by).toEqual({ type: 'client', id: 'tpp' });
    expect(history[1]).toMatchObject({
      by: decided.by,
      shown: { locale: 'en', digest: sha256('what was shown').toString('base64url') },
    });
    await expect(
      world.prisma().consentHistory.updateMany({ where: { consentId: id }, data: { state: 'x' } }),
    ).rejects.toThrow();
    await expect(
      world.prisma().consentHistory.deleteMany({ where: { consentId: id } }),
    ).rejects.toThrow();
    expect(await world.consents().history(id)).toEqual(history);
  });

  it('says what time has made of it before anybody writes it down', async () => {
    const undecided = await world.lodge(payment);
    const authorised = await world.consentIn('authorised');
    world.setTime(later(3600));
    expect(await world.consents().find(authorised)).toMatchObject({ state: 'expired' });
    expect(await world.consents().find(undecided)).toMatchObject({
      state: 'awaiting-authorisation',
    });
    world.setTime(later(86_400));
    expect(await world.consents().find(undecided)).toMatchObject({ state: 'rejected' });
    await expect(world.consents().move(undecided, 'authorise', decided)).rejects.toMatchObject({
      code: 'consent_state',
    });
    await expect(world.consents().move(authorised, 'revoke', decided)).rejects.toMatchObject({
      code: 'consent_state',
    });
  });
});

describe('Moves', () => {
  const all = consentStates.flatMap((state) =>
    (Object.keys(consentMoves) as ConsentMove[]).map((move) => [state, move] as const),
  );

  const isByClock = (move: ConsentMove) => move === 'lapse' || move === 'expire';
  const isLegal = ([state, move]: readonly [ConsentState, ConsentMove]) =>
    consentMoves[move].from === state;

  it.each(all.filter(isLegal))('%s, %s', async (state, move) => {
    const id = await world.consentIn(state);
    if (isByClock(move)) world.setTime(later(3600));
    const moved = await world.consents().move(id, move, isByClock(move) ? byTime : decided);
    expect(moved.state).toBe(consentMoves[move].to);
  });

  it.each(all.filter((pair) => !isLegal(pair)))('%s, not %s', async (state, move) => {
    const id = await world.consentIn(state);
    const before = await world.consents().find(id);
    if (isByClock(move)) world.setTime(later(3600));
    const facts = isByClock(move) ? byTime : decided;
    await expect(world.consents().move(id, move, facts)).rejects.toMatchObject({
      code: 'consent_state',
    });
    world.setTime(start);
    expect(await world.consents().find(id)).toEqual(before);
    expect(await world.consents().history(id)).toHaveLength(before?.version ?? 0);
  });

  it('by the clock are refused while there is time', async () => {
    await expect(world.consents().move(await world.lodge(), 'lapse', byTime)).rejects.toMatchObject(
      {
        code: 'consent_state',
      },
    );
    const authorised = await world.consentIn('authorised');
    await expect(world.consents().move(authorised, 'expire', byTime)).rejects.toMatchObject({
      code: 'consent_state',
    });
  });

  it('by another client or customer find nothing', async () => {
    const id = await world.consentIn('authorised');
    const client: MoveFacts = { by: { type: 'client', id: 'other' }, clientId: 'other' };
    await expect(world.consents().move(id, 'revoke', client)).rejects.toMatchObject({
      code: 'consent_not_found',
    });
    const customer: MoveFacts = { by: { type: 'customer' }, customerId: randomUUID() };
    for (const move of ['revoke', 'reauthenticate', 'change'] as const) {
      await expect(world.consents().move(id, move, customer)).rejects.toMatchObject({
        code: 'consent_not_found',
      });
    }
    const unknown = 'urn:countersign:consent:aaaaaaaaaaaaaaaaaaaaaaaa';
    await expect(world.consents().move(unknown, 'revoke', decided)).rejects.toMatchObject({
      code: 'consent_not_found',
    });
    expect(await world.consents().find(id)).toMatchObject({ state: 'authorised', version: 2 });
  });

  it('at once from two processes: one wins, and the others are told', async () => {
    const id = await world.lodge();
    let next = 0;
    const results = await atOnce(50, [world.consents(), world.elsewhere()], (store) => {
      next += 1;
      return store.move(id, next % 3 === 0 ? 'reject' : 'authorise', decided);
    });
    const [winner, ...others] = values(results);
    expect(others).toEqual([]);
    const failures = results.filter((result) => result.status === 'rejected');
    for (const { reason } of failures) expect(reason).toMatchObject({ code: 'consent_state' });
    expect(failures).toHaveLength(49);
    expect(await world.consents().find(id)).toEqual(winner);
    expect(await world.consents().history(id)).toHaveLength(2);
  });

  it('in any order by two processes leave a history that the model allows', async () => {
    const names = fc.constantFrom(
      ...(['authorise', 'reject', 'withdraw', 'reauthenticate', 'change', 'revoke'] as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(names, { minLength: 2, maxLength: 8 }), async (moves) => {
        const id = await world.lodge();
        await Promise.allSettled(
          moves.map((move, at) =>
            (at % 2 === 0 ? world.consents() : world.elsewhere()).move(id, move, decided),
          ),
        );
        const [created, ...steps] = await world.consents().history(id);
        let state: string = created?.state ?? '';
        for (const step of steps) {
          const { from, to } = consentMoves[step.move as ConsentMove];
          expect({ from, to }).toEqual({ from: state, to: step.state });
          state = step.state;
        }
        expect((await world.consents().find(id))?.state).toBe(state);
      }),
      { numRuns: 25 },
    );
  });
});
