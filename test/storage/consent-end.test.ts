import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/audit/events.ts';
import type { MoveFacts } from '../../src/consents/consent-store.ts';
import { createUpkeep } from '../../src/consents/upkeep.ts';
import { sha256 } from '../../src/security/secrets.ts';
import { consentGround, decided, later } from '../support/consent-ground.ts';
import { silentLogger } from '../support/silent-logger.ts';

const world = consentGround();

describe('What was issued under a consent', () => {
  async function issueUnder(id: string): Promise<() => Promise<number>> {
    const grantDigest = new Uint8Array(sha256(id));
    await world.prisma().artifact.createMany({
      data: ['Grant', 'AuthorizationCode', 'RefreshToken', 'AccessToken'].map((kind) => ({
        ...{ kind, idDigest: new Uint8Array(sha256(randomUUID())), grantDigest },
        payload: new Uint8Array([1]),
      })),
    });
    return () => world.prisma().artifact.count({ where: { grantDigest } });
  }

  it('ends with it, in the same statement', async () => {
    for (const [state, move] of [
      ['authorised', 'revoke'],
      ['awaiting-authorisation', 'reject'],
      ['awaiting-authorisation', 'withdraw'],
    ] as const) {
      const id = await world.consentIn(state);
      const count = await issueUnder(id);
      await world.consents().move(id, move, decided);
      expect(await count()).toBe(0);
    }
  });

  it('stays when nothing ends, and when the move is refused', async () => {
    const id = await world.consentIn('authorised');
    const count = await issueUnder(id);
    await world.consents().move(id, 'reauthenticate', decided);
    await world.consents().move(id, 'change', decided);
    const foreign: MoveFacts = { by: { type: 'client' }, clientId: 'other' };
    await expect(world.consents().move(id, 'revoke', foreign)).rejects.toThrow();
    expect(await count()).toBe(4);
  });

  it('ends by the clock, whichever process sees it first', async () => {
    const authorised = await world.consentIn('authorised');
    const undecided = await world.lodge();
    const count = await issueUnder(authorised);
    world.setTime(later(3600));
    const moved = (
      await Promise.all([world.consents().moveDue(1000), world.elsewhere().moveDue(1000)])
    ).flat();
    const mine = moved.filter(({ id }) => id === authorised || id === undecided);
    expect(mine.map(({ state }) => state).toSorted()).toEqual(['expired', 'rejected']);
    expect(await count()).toBe(0);
    expect(await world.consents().moveDue(1000)).toEqual([]);
  });
});

describe('The upkeep', () => {
  it('writes down and records what time has ended, once', async () => {
    const entries: AuditEntry[] = [];
    const audit = { record: (entry: AuditEntry) => entries.push(entry) };
    const authorised = await world.consentIn('authorised');
    const undecided = await world.lodge();
    world.setTime(later(3600));
    const upkeepOf = (consents = world.consents()) =>
      createUpkeep({ consents, audit, logger: silentLogger, intervalMs: 1000 });
    await Promise.all([upkeepOf().runOnce(), upkeepOf(world.elsewhere()).runOnce()]);
    const typesOf = (id: string) =>
      entries.filter(({ detail }) => detail?.['consent'] === id).map(({ type }) => type);
    expect(typesOf(authorised)).toEqual(['consent.expired']);
    expect(typesOf(undecided)).toEqual(['consent.rejected']);
    const [last] = (await world.consents().history(authorised)).slice(-1);
    expect(last).toMatchObject({ move: 'expire', by: { type: 'system' }, reason: 'time' });
  });
});
