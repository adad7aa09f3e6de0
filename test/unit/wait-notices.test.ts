import { beforeEach, describe, expect, it } from 'vitest';
import { createWaitNotices } from '../../src/customers/wait-notices.ts';
import type { IsNewWait } from '../../src/customers/wait-notices.ts';

let seconds: number;
let isNewWait: IsNewWait;

beforeEach(() => {
  seconds = 1_000_000;
  isNewWait = createWaitNotices({ now: () => new Date(seconds * 1000) });
});

describe('A wait is told of', () => {
  it('once, until it is over', () => {
    expect(isNewWait('network', 300)).toBe(true);
    for (const left of [299, 200, 100, 61, 1]) {
      seconds = 1_000_300 - left;
      expect(isNewWait('network', left)).toBe(false);
    }
    seconds = 1_000_300;
    expect(isNewWait('network', 300)).toBe(true);
  });

  it('once a minute where short ones follow each other', () => {
    expect(isNewWait('account', 2)).toBe(true);
    seconds += 59;
    expect(isNewWait('account', 60)).toBe(false);
    seconds += 1;
    expect(isNewWait('account', 60)).toBe(true);
  });

  it('for each who waits', () => {
    expect(isNewWait('one', 60)).toBe(true);
    expect(isNewWait('other', 60)).toBe(true);
    expect(isNewWait('one', 60)).toBe(false);
  });

  it('again when the clock was set back', () => {
    expect(isNewWait('network', 60)).toBe(true);
    seconds -= 3600;
    expect(isNewWait('network', 60)).toBe(true);
  });
});
