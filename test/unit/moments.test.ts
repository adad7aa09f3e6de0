import { describe, expect, it } from 'vitest';
import { createMoments, momentColumns } from '../../src/database/moments.ts';
import { recordingLogger } from '../support/recording-logger.ts';

function setUp() {
  let time = new Date('2026-11-22T10:00:00Z');
  let isAway = false;
  const writes: string[][] = [];
  const { logger, lines } = recordingLogger();
  const moments = createMoments({
    clock: { now: () => time },
    logger,
    write: (noted) => {
      if (isAway) return Promise.reject(new Error('away'));
      writes.push([...noted].map(([id, at]) => `${id} ${at.toISOString().slice(11, 19)}`));
      return Promise.resolve();
    },
  });
  return {
    ...{ moments, writes, lines },
    pass: (seconds: number): void => {
      time = new Date(time.getTime() + seconds * 1000);
    },
    setAway: (away: boolean): void => {
      isAway = away;
    },
  };
}

describe('Moments', () => {
  it('are written in one group, each id once a minute', async () => {
    const { moments, writes, pass } = setUp();
    for (const id of ['a', 'b', 'a']) moments.note(id);
    await moments.flush();
    pass(59);
    moments.note('a');
    await moments.flush();
    pass(1);
    moments.note('a');
    await moments.flush();
    expect(writes).toEqual([['a 10:00:00', 'b 10:00:00'], ['a 10:01:00']]);
  });

  it('that could not be written come with the next ones', async () => {
    const { moments, writes, lines, setAway } = setUp();
    setAway(true);
    moments.note('a');
    await moments.flush();
    expect(await lines()).toHaveLength(1);
    setAway(false);
    moments.note('b');
    await moments.flush();
    expect(writes).toEqual([['a 10:00:00', 'b 10:00:00']]);
  });

  it('are bounded', async () => {
    const { moments, writes } = setUp();
    for (let i = 0; i < 10_500; i += 1) moments.note(String(i));
    await moments.flush();
    expect(writes[0]).toHaveLength(10_000);
  });

  it('are sent as two texts', () => {
    const at = new Date('2026-11-22T10:00:00Z');
    expect(
      momentColumns(
        new Map([
          ['a', at],
          ['b', at],
        ]),
      ),
    ).toEqual(['a b', '2026-11-22T10:00:00.000Z 2026-11-22T10:00:00.000Z']);
  });
});
