import { describe, expect, it } from 'vitest';
import { latestEnd } from '../../src/consents/consent.ts';
import { endTyped } from '../../src/consents/dashboard/end-date.ts';

const now = new Date('2026-11-22T10:00:00Z');
const day = (text: string) => new Date(`${text}T00:00:00Z`);
const lastSecond = (text: string) => new Date(`${text}T23:59:59Z`);

describe('latestEnd', () => {
  it.each([
    { why: 'neither', asked: undefined, days: undefined, latest: undefined },
    { why: 'the client', asked: '2027-01-01', days: undefined, latest: '2027-01-01' },
    { why: 'the client before the regime', asked: '2027-01-01', days: 180, latest: '2027-01-01' },
  ])('is limited by $why', ({ asked, days, latest }) => {
    const limit = latestEnd(
      { askedUntil: (asked && day(asked)) || undefined },
      { longestDays: days },
      now,
    );
    expect(limit).toEqual(latest && day(latest));
  });

  it('is limited by the regime, counted from now', () => {
    const limit = new Date('2026-12-02T10:00:00Z');
    expect(latestEnd({ askedUntil: day('2027-01-01') }, { longestDays: 10 }, now)).toEqual(limit);
    expect(latestEnd({ askedUntil: undefined }, { longestDays: 10 }, now)).toEqual(limit);
  });
});

describe('endTyped', () => {
  const latest = new Date('2027-03-31T12:00:00Z');
  const present = new Date('2027-02-01T08:30:00Z');

  it.each([
    { typed: '2027-02-01', end: present, why: 'the day of the present end keeps it to the second' },
    { typed: ' 2027-01-15 ', end: lastSecond('2027-01-15'), why: 'the whole day counts' },
    { typed: '2027-03-31', end: latest, why: 'the last day ends when the limit says' },
    { typed: '2026-11-22', end: lastSecond('2026-11-22'), why: 'today is possible' },
  ])('$why', ({ typed, end }) => {
    expect(endTyped(typed, present, { now, latest })).toEqual({ end });
  });

  it.each([
    ['2027-04-01', 'end_not_possible'],
    ['2026-11-21', 'end_not_possible'],
    ['0001-01-01', 'end_not_possible'],
    ['2027-02-29', 'end_not_a_date'],
    ['2027-13-01', 'end_not_a_date'],
    ['01.01.2027', 'end_not_a_date'],
    ['2027-1-1', 'end_not_a_date'],
    ['', 'end_not_a_date'],
  ])('refuses "%s"', (typed, fault) => {
    expect(endTyped(typed, present, { now, latest })).toEqual({ fault });
  });

  it('leaves open-ended access as it is, or gives it any end', () => {
    const open = { now, latest: undefined };
    expect(endTyped('', undefined, open)).toEqual({ end: undefined });
    expect(endTyped('2099-12-31', undefined, open)).toEqual({ end: lastSecond('2099-12-31') });
  });
});
