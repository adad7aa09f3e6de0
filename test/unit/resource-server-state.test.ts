import { beforeEach, describe, expect, it } from 'vitest';
import { createShortMemory } from '../../src/edge/resource-server/short-memory.ts';
import type { MovableClock, StandInIssuer } from '../support/stand-in-issuer.ts';
import {
  audience,
  issuer,
  movableClock,
  protectedApi,
  standInIssuer,
} from '../support/stand-in-issuer.ts';

const client = { id: 'api:1', secret: 'a secret/+' };
const authorization = `Basic ${Buffer.from('api%3A1:a+secret%2F%2B').toString('base64')}`;

let clock: MovableClock;
let world: StandInIssuer;
let introspected: Record<string, unknown>;
let consent: Record<string, unknown> | undefined;

beforeEach(async () => {
  clock = movableClock();
  world = await standInIssuer(clock, ['ES256']);
  const exp = Math.floor(clock.now().getTime() / 1000) + 300;
  introspected = { active: true, iss: issuer, aud: audience, client_id: 'tpp', exp };
  consent = {
    ...{ id: 'c 1', status: 'authorised', client_id: 'tpp', customer: 'casey' },
    ...{ permissions: ['ReadBalances'], accounts: [{ id: '22289' }, {}] },
  };
  world.answers['/introspect'] = (init) => {
    const { authorization: sent } = init?.headers as Record<string, string>;
    return sent === authorization && (init?.body as string).startsWith('token=')
      ? Response.json(introspected)
      : new Response('', { status: 401 });
  };
  world.answers['/consents/v1/c%201/status'] = (init) => {
    const { authorization: sent } = init?.headers as Record<string, string>;
    if (sent !== authorization) return new Response('', { status: 401 });
    return consent === undefined ? new Response('', { status: 404 }) : Response.json(consent);
  };
});

describe('An opaque token', () => {
  it('is introspected, and not again within a second', async () => {
    introspected['scope'] = 'accounts payments';
    const api = protectedApi(world, clock, { client });
    const ask = () => api.bearer('opaque', { scope: 'payments' });
    const answers = await Promise.all([ask(), ask(), ask()]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers[0]).toMatchObject({
      token: { subject: 'tpp', scopes: ['accounts', 'payments'] },
    });
    clock.advance(0.999);
    introspected = { active: false };
    expect((await ask()).status).toBe(200);
    expect(world.count('/introspect')).toBe(1);
    clock.advance(0.001);
    expect((await ask()).status).toBe(401);
    expect(world.count('/introspect')).toBe(2);
  });

  it('is refused where nobody is asked', async () => {
    const api = protectedApi(world, clock, { client, introspection: 'never' });
    expect((await api.bearer('opaque')).status).toBe(401);
    expect((await protectedApi(world, clock).bearer('opaque')).status).toBe(401);
    expect(world.count('/introspect')).toBe(0);
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['is not active', { active: false }, 401],
    ['is of another issuer', { iss: 'https://other.example' }, 401],
    ['is for another API', { aud: ['https://other.example'] }, 401],
    ['has expired', { exp: 1 }, 401],
    ['has no end', { exp: undefined }, 401],
    ['has no client', { client_id: undefined }, 401],
    ['is bound to a certificate', { cnf: { 'x5t#S256': 'x' } }, 401],
    ['is bound to a key', { cnf: { jkt: 'x' } }, 401],
    ['may be active', { active: 'true' }, 503],
  ])('that %s is not taken', async (_name, change, status) => {
    Object.assign(introspected, change);
    const api = protectedApi(world, clock, { client });
    expect((await api.bearer('opaque')).status).toBe(status);
  });

  it('is neither good nor bad while the issuer is silent, or does not know us', async () => {
    const wrong = protectedApi(world, clock, { client: { ...client, secret: 'wrong' } });
    expect((await wrong.bearer('opaque')).status).toBe(503);
    const api = protectedApi(world, clock, { client });
    world.state.isDown = true;
    expect((await api.bearer('opaque')).status).toBe(503);
    world.state.isDown = false;
    clock.advance(5);
    expect((await api.bearer('opaque')).status).toBe(200); // the failure was not remembered
  });
});

describe('A JWT', () => {
  it('is introspected too where that is wanted, and keeps the scopes that it still has', async () => {
    introspected['scope'] = 'accounts';
    const token = await world.token({ scope: 'accounts payments' });
    const offline = protectedApi(world, clock, { client });
    expect((await offline.bearer(token, { scope: 'payments' })).status).toBe(200);
    expect(world.count('/introspect')).toBe(0);
    const api = protectedApi(world, clock, { client, introspection: 'always' });
    expect((await api.bearer(token, { scope: 'accounts' })).status).toBe(200);
    expect((await api.bearer(token, { scope: 'payments' })).status).toBe(403);
    clock.advance(1);
    introspected = { active: false };
    expect((await api.bearer(token)).status).toBe(401);
  });

  it('that is forged is asked nobody about', async () => {
    const api = protectedApi(world, clock, { client, introspection: 'always' });
    await api.bearer((await world.token()).slice(0, -5));
    expect(world.count('/introspect')).toBe(0);
  });
});

describe('The consent that a token names', () => {
  const path = '/consents/v1/c%201/status';
  const options = { client, consents: true };
  const named = (more: Record<string, unknown> = {}) => world.token({ consent_id: 'c 1', ...more });

  it('is told with the token, and asked about once a second', async () => {
    const api = protectedApi(world, clock, options);
    const ask = async () => api.bearer(await named(), { permission: 'ReadBalances' });
    const [first] = await Promise.all([ask(), ask()]);
    expect(first).toMatchObject({
      token: {
        consent: {
          ...{ id: 'c 1', status: 'authorised', clientId: 'tpp', customer: 'casey' },
          ...{ permissions: ['ReadBalances'], accounts: [{ id: '22289' }] },
        },
      },
    });
    clock.advance(0.5);
    await ask();
    expect(world.count(path)).toBe(1);
    clock.advance(0.5);
    if (consent !== undefined) consent['status'] = 'revoked';
    expect(await ask()).toMatchObject({ status: 401, error: 'invalid_token' });
    expect(world.count(path)).toBe(2);
  });

  it.each<[string, () => void]>([
    ['has ended', () => Object.assign(consent ?? {}, { status: 'expired' })],
    ['does not exist', () => (consent = undefined)],
    ['is another', () => Object.assign(consent ?? {}, { id: 'c 2' })],
    ['is another client’s', () => Object.assign(consent ?? {}, { client_id: 'other' })],
  ])('ends the token when it %s', async (_name, change) => {
    change();
    const answer = await protectedApi(world, clock, options).bearer(await named());
    expect(answer).toMatchObject({ status: 401, error: 'invalid_token' });
  });

  it('has to be there where a route needs it, with the permission', async () => {
    const api = protectedApi(world, clock, options);
    const without = await api.bearer(await world.token(), { consent: 'required' });
    expect(without).toMatchObject({ status: 403, error: 'insufficient_scope' });
    expect((await api.bearer(await world.token())).status).toBe(200);
    const other = await api.bearer(await named(), { permission: 'ReadTransactions' });
    expect(other).toMatchObject({ status: 403, error: 'insufficient_scope' });
    expect((await api.bearer(await named(), { consent: 'required' })).status).toBe(200);
  });

  it('makes 503 when nobody says how it is', async () => {
    const api = protectedApi(world, clock, options);
    const token = await named();
    await api.bearer(token);
    clock.advance(1);
    world.state.isDown = true;
    expect((await api.bearer(token)).status).toBe(503);
  });
});

describe('What is remembered for a moment', () => {
  it('is bounded', async () => {
    const memory = createShortMemory<string>({ ms: 1000, max: 3, now: () => clock.now() });
    const reads: string[] = [];
    const recall = (key: string) =>
      memory.recall(key, () => {
        reads.push(key);
        return Promise.resolve(key);
      });
    for (const key of ['a', 'b', 'c', 'd', 'b', 'c', 'd', 'a']) await recall(key);
    expect(reads).toEqual(['a', 'b', 'c', 'd', 'a']);
    expect(memory.size()).toBe(3);
    clock.advance(1);
    await recall('e');
    expect(memory.size()).toBe(1);
  });
});
