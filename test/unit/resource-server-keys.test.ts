import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { MovableClock, StandInIssuer } from '../support/stand-in-issuer.ts';
import { issuer, movableClock, protectedApi, standInIssuer } from '../support/stand-in-issuer.ts';

let clock: MovableClock;
let world: StandInIssuer;

beforeEach(async () => {
  clock = movableClock();
  world = await standInIssuer(clock, ['ES256']);
});

const keysAsked = () => world.count('/jwks');

describe('The keys of the issuer', () => {
  it('are fetched once for many requests at once', async () => {
    const api = protectedApi(world, clock);
    const token = await world.token();
    const answers = await Promise.all(Array.from({ length: 50 }, () => api.bearer(token)));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    expect(world.asked).toEqual(['/.well-known/oauth-authorization-server', '/jwks']);
  });

  it('are fetched again when their time is over', async () => {
    const api = protectedApi(world, clock);
    await api.bearer(await world.token());
    clock.advance(299);
    await api.bearer(await world.token());
    expect(keysAsked()).toBe(1);
    clock.advance(1);
    world.state.published = [];
    // Even of a key that was known: it may have been taken away.
    expect((await api.bearer(await world.token())).status).toBe(401);
    expect(keysAsked()).toBe(2);
  });

  it.each([
    ['no-store', 300],
    ['max-age=0', 30],
    ['public, max-age=3600', 3600],
    ['max-age=999999999', 86_400],
  ])('are kept as "%s" says, within bounds', async (cacheControl, seconds) => {
    world.state.cacheControl = cacheControl;
    const api = protectedApi(world, clock);
    await api.bearer(await world.token());
    clock.advance(seconds - 1);
    await api.bearer(await world.token());
    expect(keysAsked()).toBe(1);
    clock.advance(1);
    await api.bearer(await world.token());
    expect(keysAsked()).toBe(2);
  });

  it('are fetched once more for an unknown kid, and then not for half a minute', async () => {
    const api = protectedApi(world, clock);
    await api.bearer(await world.token());
    const added = await world.newKey('PS256');
    const ofAdded = () => world.token({}, {}, added);
    clock.advance(30);
    world.state.published = [...world.keys, added];
    expect((await api.bearer(await ofAdded())).status).toBe(200);
    expect(keysAsked()).toBe(2);

    const stranger = await world.newKey('PS256');
    const ofStranger = async () => api.bearer(await world.token({}, {}, stranger));
    await Promise.all([ofStranger(), ofStranger(), ofStranger()]);
    clock.advance(29);
    expect((await ofStranger()).status).toBe(401);
    expect(keysAsked()).toBe(2);
    clock.advance(1);
    const answers = await Promise.all([ofStranger(), ofStranger(), ofStranger()]);
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
    expect(keysAsked()).toBe(3);
  });

  it('serve on while the issuer is down, for a while', async () => {
    const api = protectedApi(world, clock, { staleKeysSeconds: 600 });
    await api.bearer(await world.token());
    world.state.isDown = true;
    clock.advance(300 + 599);
    const token = await world.token();
    expect((await api.bearer(token)).status).toBe(200);
    const asked = keysAsked();
    expect((await api.bearer(token)).status).toBe(200);
    expect(keysAsked()).toBe(asked); // not at each request
    clock.advance(1);
    const answer = await api.bearer(token);
    expect(answer).toMatchObject({ status: 503, error: 'temporarily_unavailable' });
    expect(answer).toHaveProperty('headers.retry-after', '5');
    expect(api.errors).toHaveLength(1);

    world.state.isDown = false;
    clock.advance(5);
    expect((await api.bearer(await world.token())).status).toBe(200);
  });

  it('serve on without a wait while the issuer hangs, once it is known to', async () => {
    const waiting: (() => void)[] = [];
    const hang = () =>
      new Promise<Response>((_, reject) => {
        waiting.push(() => {
          reject(new TypeError('no answer within its time'));
        });
      });
    const fetch = (url: string, init?: RequestInit) =>
      world.state.isDown ? hang() : world.fetch(url, init);
    const api = protectedApi(world, clock, { fetch });
    await api.bearer(await world.token());
    world.state.isDown = true;
    clock.advance(300);
    const token = await world.token();
    const first = api.bearer(token);
    await expect.poll(() => waiting.length).toBe(1);
    clock.advance(5); // as long as an answer is waited for
    waiting[0]?.();
    expect((await first).status).toBe(200);
    clock.advance(4.999); // the pause is counted from there
    expect((await api.bearer(token)).status).toBe(200);
    expect(waiting).toHaveLength(1);
    clock.advance(0.001);
    expect((await api.bearer(token)).status).toBe(200);
    expect((await api.bearer(token)).status).toBe(200);
    expect(waiting).toHaveLength(2); // asked anew, for all of them

    world.state.isDown = false;
    waiting[1]?.();
    await setImmediate();
    clock.advance(5);
    const added = await world.newKey('ES256');
    world.state.published = [added];
    await expect.poll(async () => (await api.bearer(token)).status).toBe(401);
    expect((await api.bearer(await world.token({}, {}, added))).status).toBe(200);
  });

  it('that can not be asked about an unknown kid are no reason to call a token bad', async () => {
    const api = protectedApi(world, clock);
    await api.bearer(await world.token());
    clock.advance(30);
    world.state.isDown = true;
    const added = await world.newKey('ES256');
    expect((await api.bearer(await world.token({}, {}, added))).status).toBe(503);
    expect((await api.bearer(await world.token())).status).toBe(200);
  });

  it('that were never there make 503, and the issuer is not asked by every request', async () => {
    world.state.isDown = true;
    const api = protectedApi(world, clock);
    const token = await world.token();
    expect((await api.bearer(token)).status).toBe(503);
    expect((await api.bearer(token)).status).toBe(503);
    expect(world.asked).toHaveLength(1);
    world.state.isDown = false;
    clock.advance(5);
    expect((await api.bearer(token)).status).toBe(200);
  });

  it('come from the address that is set, and no discovery is needed', async () => {
    const answer = world.answers['/jwks'];
    if (answer !== undefined) world.answers['/mtls-jwks'] = answer;
    const api = protectedApi(world, clock, { keySetUrl: `${issuer}/mtls-jwks` });
    expect((await api.bearer(await world.token())).status).toBe(200);
    expect(world.asked).toEqual(['/mtls-jwks']);
  });
});

describe('Discovery', () => {
  it.each<[string, () => void]>([
    ['of another issuer', () => (world.metadata['issuer'] = 'https://other.example')],
    ['without TLS', () => (world.metadata['jwks_uri'] = 'http://as.bank.example/jwks')],
    ['without keys', () => delete world.metadata['jwks_uri']],
    [
      'that is no JSON',
      () => (world.answers['/.well-known/oauth-authorization-server'] = () => new Response('<')),
    ],
    [
      'that is endless',
      () =>
        (world.answers['/.well-known/oauth-authorization-server'] = () =>
          new Response(`{"issuer":"${issuer}"${' '.repeat(300_000)}}`)),
    ],
    ['whose keys are none', () => (world.answers['/jwks'] = () => Response.json({ keys: 'x' }))],
    ['whose keys are an error', () => (world.answers['/jwks'] = () => Response.json({}))],
  ])('%s is not believed', async (_name, spoil) => {
    spoil();
    const api = protectedApi(world, clock);
    expect((await api.bearer(await world.token())).status).toBe(503);
    expect(api.errors).toHaveLength(1);
  });

  it('follows no redirect', async () => {
    const seen: (string | undefined)[] = [];
    const fetch = (url: string, init?: RequestInit) => {
      seen.push(init?.redirect);
      return world.fetch(url, init);
    };
    await protectedApi(world, clock, { fetch }).bearer(await world.token());
    expect(seen).toEqual(['error', 'error']);
  });

  it('puts the well-known path before the path of an issuer (RFC 8414)', async () => {
    const api = protectedApi(world, clock, { issuer: `${issuer}/tenant` });
    await api.bearer(await world.token());
    expect(world.asked).toEqual(['/.well-known/oauth-authorization-server/tenant']);
  });
});
