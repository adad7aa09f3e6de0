import { describe, expect, it } from 'vitest';
import { createRequestMemory } from '../../src/database/request-memory.ts';
import { runWithRequest } from '../../src/observability/request-context.ts';

const request = () => ({
  requestId: 'r',
  address: '192.0.2.7',
  listener: 'public' as const,
  method: 'GET',
  path: '/',
});

/** A source that says how often it was asked. */
function source() {
  let count = 0;
  return () => Promise.resolve((count += 1));
}

describe('the memory of a request', () => {
  it('asks once for each key, also when asked at the same time', async () => {
    const memory = createRequestMemory<number>();
    const read = source();
    const answers = await runWithRequest(request(), () =>
      Promise.all([memory.recall('a', read), memory.recall('a', read), memory.recall('b', read)]),
    );
    expect(answers).toEqual([1, 1, 2]);
  });

  it('ends with the request, and there is none outside', async () => {
    const memory = createRequestMemory<number>();
    const read = source();
    for (const expected of [1, 2]) {
      expect(await runWithRequest(request(), () => memory.recall('a', read))).toBe(expected);
    }
    expect(await memory.recall('a', read)).toBe(3);
    expect(await memory.recall('a', read)).toBe(4);
  });

  it('is forgotten by who writes, and no other request’s', async () => {
    const memory = createRequestMemory<number>();
    const read = source();
    const [one, other] = [request(), request()];
    const recall = (context: typeof one) => runWithRequest(context, () => memory.recall('a', read));
    expect([await recall(one), await recall(other)]).toEqual([1, 2]);
    runWithRequest(one, () => {
      memory.forget();
    });
    expect([await recall(one), await recall(other)]).toEqual([3, 2]);
  });

  it('does not keep a failure', async () => {
    const memory = createRequestMemory<number>();
    await runWithRequest(request(), async () => {
      await expect(memory.recall('a', () => Promise.reject(new Error('away')))).rejects.toThrow();
      expect(await memory.recall('a', source())).toBe(1);
    });
  });
});
