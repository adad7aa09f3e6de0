import { describe, expect, it } from 'vitest';
import { clockLeadSeconds, epochSeconds } from '../../src/clock.ts';
import { createEdge } from '../../src/edge/decision.ts';
import type { EdgeRequest } from '../../src/edge/decision.ts';
import type { Admission, EdgeToken, Subjects } from '../../src/edge/edge-ports.ts';
import { createTokenMemory } from '../../src/edge/token-memory.ts';
import { dpopProof, newClientKey } from '../support/fapi.ts';
import { movableClock } from '../support/stand-in-issuer.ts';

const token: EdgeToken = {
  ...{ clientId: 'tpp', customerId: 'casey', scopes: ['a'], audiences: ['https://api.example'] },
  ...{ expiresAt: 2_000_000_000, certificateThumbprint: undefined, keyThumbprint: undefined },
  ...{ consentId: undefined, acr: undefined, authTime: undefined },
};

const route = {
  ...{ path: '/a', methods: ['GET'], resourceServer: 'https://api.example', scopes: ['a'] },
  ...{ credentials: ['token', 'api-key'] as const, unboundTokens: 'accept' as const },
  ...{ acr: undefined, maxAgeSeconds: undefined },
};

const parts = {
  verifyKey: () => Promise.resolve({ outcome: 'refused' as const }),
  admit: () => ({ allowed: true, resetSeconds: 0, unavailable: false, succeeded: () => undefined }),
  firstUse: () => Promise.resolve(true),
  nonces: undefined,
};

const requestFor = (value: string): EdgeRequest => ({
  ...{ method: 'GET', url: '/edge/verify/a', isFromProxy: true, certificate: undefined },
  ...{ address: '203.0.113.7', headerNames: [] },
  header: (name) => (name === 'authorization' ? [`Bearer ${value}`] : []),
});

describe('The memory of tokens', () => {
  it('asks once a second for each, and anew when something ended', async () => {
    const clock = movableClock();
    const asked: string[] = [];
    const memory = createTokenMemory((one) => {
      asked.push(one);
      return Promise.resolve(one === 'good' ? token : undefined);
    }, clock);
    const answers = await Promise.all([memory.find('good'), memory.find('good')]);
    expect(answers).toEqual([token, token]);
    clock.advance(0.999);
    await memory.find('good');
    expect(await memory.find('bad')).toBeUndefined();
    expect(asked).toEqual(['good', 'bad']);
    clock.advance(0.001);
    await memory.find('good');
    expect(asked).toEqual(['good', 'bad', 'good']);
    memory.forget();
    await memory.find('good');
    expect(asked).toHaveLength(4);
  });

  it('does not remember failures, and what was asked before an end', async () => {
    const clock = movableClock();
    let resolve: (found: EdgeToken | undefined) => void = () => undefined;
    const answers = [
      () => Promise.reject(new Error('no database')),
      () => new Promise<EdgeToken | undefined>((give) => (resolve = give)),
      () => Promise.resolve(undefined),
    ];
    const memory = createTokenMemory(() => answers.shift()?.() ?? Promise.resolve(token), clock);
    await expect(memory.find('one')).rejects.toThrow('no database');
    const pending = memory.find('one');
    memory.forget();
    resolve(token);
    expect(await pending).toBe(token);
    expect(await memory.find('one')).toBeUndefined();
  });
});

describe('A remembered token', () => {
  it('does not outlive its end', async () => {
    const clock = movableClock();
    const seconds = Math.floor(clock.now().getTime() / 1000);
    const edge = createEdge({
      policy: { proxy: 'envoy', origins: [], routes: [route] },
      ...parts,
      clock,
      findToken: () => Promise.resolve({ ...token, expiresAt: seconds + 1 }),
    });
    const outcome = async () => (await edge(requestFor('good'))).outcome;
    expect(await outcome()).toBe('admitted');
    clock.advance(1);
    expect(await outcome()).toBe('unauthenticated');
  });
});

describe('A proof at the edge', () => {
  it('is remembered until nobody can use it any more', async () => {
    const clock = movableClock();
    const key = await newClientKey();
    const uses: Date[] = [];
    const edge = createEdge({
      policy: { proxy: 'envoy', origins: ['https://api.example'], routes: [route] },
      ...{ ...parts, clock },
      findToken: () => Promise.resolve({ ...token, keyThumbprint: key.thumbprint }),
      firstUse: ({ expiresAt }) => Promise.resolve(uses.push(expiresAt) > 0),
    });
    const claims = { iat: epochSeconds(clock) + clockLeadSeconds };
    const url = 'https://api.example/a';
    const dpop = await dpopProof({ key, url, method: 'GET', accessToken: 'good', claims });
    const lines: Record<string, string> = { authorization: 'DPoP good', dpop };
    const request = { ...requestFor('good'), header: (name: string) => [lines[name] ?? []].flat() };
    expect((await edge(request)).outcome).toBe('admitted');
    const end = uses[0]?.getTime() ?? 0;
    clock.advance((end - clock.now().getTime()) / 1000 - 0.001);
    expect((await edge(request)).outcome).toBe('admitted'); // by its times alone it would be
    clock.advance(0.001);
    expect((await edge(request)).outcome).toBe('unauthenticated');
  });
});

describe('Limits at the edge', () => {
  function edgeWith(admit: (subjects: Subjects) => Partial<Admission>) {
    const [seen, succeeded]: [Subjects[], Subjects[]] = [[], []];
    const edge = createEdge({
      policy: { proxy: 'envoy', origins: [], routes: [route] },
      ...parts,
      findToken: (value) => Promise.resolve(value === 'good' ? token : undefined),
      admit(subjects) {
        seen.push(subjects);
        const usual = { allowed: true, resetSeconds: 0, unavailable: false };
        return { ...usual, ...admit(subjects), succeeded: () => succeeded.push(subjects) };
      },
      clock: movableClock(),
    });
    const ask = (value: string) => edge(requestFor(value));
    return { ask, seen, succeeded };
  }

  it('count the address first, then who it is', async () => {
    const { ask, seen, succeeded } = edgeWith(() => ({}));
    expect((await ask('good')).outcome).toBe('admitted');
    const subjects = [
      { address: '203.0.113.7' },
      { client: 'tpp', customer: 'casey', apiKey: undefined },
    ];
    expect(seen).toEqual(subjects);
    expect(succeeded).toEqual(expect.arrayContaining(subjects));
  });

  it('keep what failed counted', async () => {
    const { ask, succeeded } = edgeWith(() => ({}));
    expect((await ask('bad')).outcome).toBe('unauthenticated');
    expect(succeeded).toEqual([]);
  });

  it('refuse whichever is used up, and everybody when nobody can count', async () => {
    for (const kind of ['address', 'client']) {
      const limited = edgeWith((subjects) => ({ allowed: !(kind in subjects), resetSeconds: 7.2 }));
      expect(await limited.ask('good')).toMatchObject({
        ...{ outcome: 'limited', status: 429, headers: { 'Retry-After': '8' } },
      });
    }
    const down = edgeWith(() => ({ allowed: false, unavailable: true }));
    expect(await down.ask('good')).toMatchObject({ outcome: 'unavailable', status: 503 });
  });
});
