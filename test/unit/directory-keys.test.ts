import { describe, expect, it } from 'vitest';
import { createDirectoryKeys } from '../../src/clients/registration/directory-keys.ts';
import { declaredDirectory } from '../../src/config/directories.ts';
import { testKey } from '../support/directory.ts';

const directory = declaredDirectory.parse({
  issuer: 'https://directory.example.com',
  keys: { url: 'https://directory.example.com/keys' },
  ...{ algorithms: ['ES256'], maxAgeSeconds: 300, roles: {} },
  certificate: [{ attribute: 'UID', claim: 'software_id' }],
});

/** A directory with one key, and a clock that a test moves. */
async function world() {
  const { publicJwk } = await testKey('first');
  const state = { isDown: false, seconds: 0, asked: 0 };
  const keys = createDirectoryKeys({
    fetch() {
      state.asked += 1;
      const body = state.isDown ? null : JSON.stringify({ keys: [publicJwk] });
      return Promise.resolve(new Response(body, { status: state.isDown ? 503 : 200 }));
    },
    clock: { now: () => new Date(1_800_000_000_000 + state.seconds * 1000) },
  });
  const kidsFor = async (kid: string) =>
    (await keys.keysOf(directory, kid)).keys.map((key) => key.kid);
  return { state, kidsFor };
}

describe('A directory', () => {
  it('is asked again for a key that it may have added, once in half a minute', async () => {
    const { state, kidsFor } = await world();
    await Promise.all([kidsFor('first'), kidsFor('second')]);
    await kidsFor('second');
    expect(state.asked).toBe(1);
    state.seconds = 31;
    expect(await kidsFor('second')).toEqual(['first']);
    expect(await kidsFor('second')).toEqual(['first']);
    expect(state.asked).toBe(2);
  });

  it('that is away is not asked by every request, and its keys count for ten minutes', async () => {
    const { state, kidsFor } = await world();
    await kidsFor('first');
    Object.assign(state, { isDown: true, seconds: 31 });
    await expect(kidsFor('second')).rejects.toThrow(/answered 503/);
    expect(await kidsFor('second')).toEqual(['first']);
    expect(await kidsFor('first')).toEqual(['first']);
    expect(state.asked).toBe(2);
    state.seconds = 601;
    await expect(kidsFor('first')).rejects.toThrow(/answered 503/);
    await expect(kidsFor('first')).rejects.toThrow(/answered 503/);
    expect(state.asked).toBe(3);
    Object.assign(state, { isDown: false, seconds: 632 });
    expect(await kidsFor('first')).toEqual(['first']);
  });
});
