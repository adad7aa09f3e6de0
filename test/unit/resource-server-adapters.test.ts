import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import express from 'express';
import Koa from 'koa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { epochSeconds } from '../../src/clock.ts';
import type { AccessToken } from '../../src/edge/resource-server/resource-server.ts';
import { dpopProof, newClientKey } from '../support/fapi.ts';
import { audience, movableClock, protectedApi, standInIssuer } from '../support/stand-in-issuer.ts';
import type { StandInIssuer } from '../support/stand-in-issuer.ts';

const clock = movableClock();
const nonceSecret = 's'.repeat(32);
let world: StandInIssuer;
const servers: (Server | Http2Server)[] = [];

beforeEach(async () => {
  world = await standInIssuer(clock, ['ES256']);
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, 'close');
  }
});

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer({ keepAliveTimeout: 1 }, handler).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** A token that is bound to a key, and what proves it for a path. */
async function boundToken() {
  const key = await newClientKey();
  const token = await world.token({ cnf: { jkt: key.thumbprint } });
  return async (path: string, nonce?: string) => {
    const claims = { iat: epochSeconds(clock) };
    const usual = { key, url: audience + path, method: 'GET', accessToken: token, claims };
    const dpop = await dpopProof({ ...usual, ...(nonce !== undefined && { nonce }) });
    return { authorization: `DPoP ${token}`, dpop, connection: 'close' };
  };
}

describe('Below a mounted path', () => {
  it('Express proves and tells the address that was called', async () => {
    const { api } = protectedApi(world, clock, { dpop: { nonceSecret } });
    const router = express.Router();
    router.get('/accounts', api.express({ scope: 'accounts' }), (_request, response) => {
      response.json((response.locals['token'] as AccessToken).clientId);
    });
    const app = express();
    app.use('/v1', router);
    const origin = await listen((request, response) => {
      app(request, response);
    });
    const headersFor = await boundToken();
    const first = await fetch(`${origin}/v1/accounts`, {
      headers: await headersFor('/v1/accounts'),
    });
    expect([first.status, await first.json()]).toEqual([
      401,
      expect.objectContaining({ error: 'use_dpop_nonce' }),
    ]);
    const nonce = first.headers.get('dpop-nonce') ?? '';
    const headers = await headersFor('/v1/accounts', nonce);
    const second = await fetch(`${origin}/v1/accounts`, { headers });
    expect([second.status, await second.json()]).toEqual([200, 'tpp']);
    expect(second.headers.get('dpop-nonce')).toBe(nonce);
    const inner = await headersFor('/accounts', nonce);
    expect((await fetch(`${origin}/v1/accounts`, { headers: inner })).status).toBe(401);
  });

  it('Koa does, and hands on what the handler answers', async () => {
    const { api } = protectedApi(world, clock, { dpop: { nonceSecret } });
    const app = new Koa();
    app.use(async (ctx, next) => {
      ctx.url = ctx.url.replace('/v1', '');
      await next();
    });
    app.use(api.koa());
    app.use((ctx) => {
      ctx.status = 201;
    });
    const handle = app.callback();
    const origin = await listen((request, response) => void handle(request, response));
    const headersFor = await boundToken();
    const ask = async (nonce?: string) =>
      fetch(`${origin}/v1/accounts`, { headers: await headersFor('/v1/accounts', nonce) });
    const nonce = (await ask()).headers.get('dpop-nonce') ?? '';
    expect((await ask(nonce)).status).toBe(201);
  });
});

describe('A fetch handler', () => {
  it('gets the token, and its answer the nonce', async () => {
    const { api } = protectedApi(world, clock, { dpop: { nonceSecret } });
    const handle = api.fetch({}, (request, { subject }) =>
      Response.json({ subject, url: request.url }, { status: 202, headers: { etag: '"1"' } }),
    );
    const headersFor = await boundToken();
    const url = `${audience}/accounts?page=2`;
    const ask = async (nonce?: string) =>
      handle(new Request(url, { headers: await headersFor('/accounts', nonce) }));
    const nonce = (await ask()).headers.get('dpop-nonce') ?? '';
    const answer = await ask(nonce);
    expect([answer.status, await answer.json()]).toEqual([202, { subject: 'casey', url }]);
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(answer.headers.get('dpop-nonce')).toBe(nonce);
  });
});

describe('HTTP/2', () => {
  it('is served as well', async () => {
    const { api } = protectedApi(world, clock);
    const app = new Koa();
    app.use(api.koa({ scope: 'accounts' }));
    app.use((ctx) => {
      ctx.body = 'served';
    });
    const handle = app.callback();
    const server = createHttp2Server((request, response) => {
      // Koa takes both, and its types know one.
      void handle(request, response);
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const session = connect(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
    const ask = async (authorization: string) => {
      const stream = session.request({ ':path': '/accounts', authorization });
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      return [headers[':status'], await text(stream)];
    };
    expect(await ask(`Bearer ${await world.token()}`)).toEqual([200, 'served']);
    expect((await ask('Bearer x'))[0]).toBe(401);
    session.close();
  });
});
