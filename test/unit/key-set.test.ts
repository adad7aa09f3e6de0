import { describe, expect, it } from 'vitest';
import { fetchKeySet } from '../../src/clients/registration/key-set.ts';

const url = 'https://tpp.example.com/jwks';

/** A way out that counts, and answers when it is told to. */
function wayOut(answer: () => Response) {
  const asked: string[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return {
    asked,
    open: () => {
      resolve(undefined);
    },
    fetch: async (address: string) => {
      asked.push(address);
      await promise;
      return answer();
    },
  };
}

describe('A key set of a third party', () => {
  it('is fetched once for all who ask at once, and anew for who asks later', async () => {
    const { fetch, asked, open } = wayOut(() => Response.json({ keys: [{ kty: 'RSA' }] }));
    const early = Array.from({ length: 50 }, () => fetchKeySet(fetch, url));
    open();
    expect(await Promise.all(early)).toEqual(early.map(() => ({ keys: [{ kty: 'RSA' }] })));
    expect(asked).toEqual([url]);
    await fetchKeySet(fetch, url);
    expect(asked).toEqual([url, url]);
  });

  it('that could not be had is asked for again', async () => {
    const { fetch, asked, open } = wayOut(() => new Response('', { status: 503 }));
    open();
    for (const times of [1, 2]) {
      await expect(fetchKeySet(fetch, url)).rejects.toThrow('answered 503');
      expect(asked).toHaveLength(times);
    }
  });

  it('is not shared between ways out with different guards', async () => {
    const first = wayOut(() => Response.json({ keys: [] }));
    const second = wayOut(() => Response.json({ keys: [{ kty: 'EC' }] }));
    const both = [fetchKeySet(first.fetch, url), fetchKeySet(second.fetch, url)];
    first.open();
    second.open();
    expect(await Promise.all(both)).toEqual([{ keys: [] }, { keys: [{ kty: 'EC' }] }]);
  });
});
