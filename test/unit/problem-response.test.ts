import Router from '@koa/router';
import type { Middleware } from 'koa';
import { describe, expect, it } from 'vitest';
import { problemResponse, type ProblemResponseOptions } from '../../src/http/problem-response.ts';
import { requestLog } from '../../src/http/request-log.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { currentRequest } from '../../src/observability/request-context.ts';
import { Problem, problems } from '../../src/problem.ts';
import { serveSteps } from '../support/http-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const browser = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

function setUp(steps: Middleware[], options: Partial<ProblemResponseOptions> = {}) {
  const { logger, lines } = recordingLogger();
  const server = serveSteps([
    requestLog({ logger, metrics: createMetrics() }),
    problemResponse({
      logger,
      renderErrorPage: (ctx, { code, reference }) => {
        ctx.set('X-Page', 'yes');
        return `<p>${code} ${reference}</p>`;
      },
      isDatabaseUnavailable: (error) => error instanceof Error && error.message === 'no database',
      ...options,
    }),
    ...steps,
  ]);
  return { server, lines };
}

function throwing(error: unknown): Middleware {
  return () => {
    throw error;
  };
}

describe('an error', () => {
  it('becomes JSON with the public sentence and the reference for programs', async () => {
    const { server, lines } = setUp([
      throwing(
        new Problem('customer_exists', {
          detail: 'inner detail',
          cause: new Error('why\n  over two lines'),
        }),
      ),
    ]);
    await using it = await server;
    for (const Accept of ['application/json', '*/*', 'image/png']) {
      const { status, headers, body } = await it.send('/', { headers: { Accept } });
      expect(status).toBe(409);
      expect(headers).toMatchObject({
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        vary: 'Accept',
      });
      expect(JSON.parse(body)).toEqual({
        error: 'customer_exists',
        error_description: problems.customer_exists,
        reference: headers['x-request-id'],
      });
    }
    const [refused, line] = await lines();
    expect(refused).toMatchObject({
      level: 'info',
      message: 'Request refused',
      problem: 'customer_exists',
      status: 409,
      reason: expect.stringMatching(/inner detail <- why over two lines$/) as string,
    });
    expect(refused).not.toHaveProperty('error');
    expect(line).toMatchObject({
      status: 409,
      reason: expect.stringMatching(/inner detail <- why over two lines$/) as string,
    });
  });

  it('becomes a page for browsers', async () => {
    const { server } = setUp([throwing(new Problem('csrf_mismatch'))]);
    await using it = await server;
    const { status, headers, body } = await it.send('/', { headers: browser });
    expect(status).toBe(403);
    expect(headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'x-page': 'yes' });
    expect(body).toBe(`<p>csrf_mismatch ${String(headers['x-request-id'])}</p>`);
  });

  it('that nobody foresaw is opaque outside and complete in the log', async () => {
    const error = new Error('secret table', { cause: new Error('secret host') });
    const { server, lines } = setUp([throwing(error)]);
    await using it = await server;
    const { status, body } = await it.send('/');
    expect(status).toBe(500);
    expect(JSON.parse(body)).toMatchObject({ error: 'server_error' });
    expect(body).not.toContain('secret');
    expect((await lines())[0]).toMatchObject({
      level: 'error',
      error: { message: 'secret table', cause: { message: 'secret host' } },
    });
  });

  it.each([
    'configuration_invalid',
    'signing_key_invalid',
    'signing_key_act_refused',
    'migration_refused',
  ] as const)('about ourselves (%s) does not say so outside', async (code) => {
    const { server } = setUp([throwing(new Problem(code))]);
    await using it = await server;
    const { status, body } = await it.send('/');
    expect(status).toBe(500);
    expect(body).not.toContain(code);
  });

  it.each([
    ['itself', new Error('no database')],
    ['as a cause', new Problem('server_error', { cause: new Error('no database') })],
    ['under an error of a library', new Error('outer', { cause: new Error('no database') })],
    ['as our own code', new Problem('database_unavailable')],
  ])('of an absent database, %s, asks to come back', async (_, error) => {
    const { server, lines } = setUp([throwing(error)]);
    await using it = await server;
    const { status, headers, body } = await it.send('/');
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('5');
    expect(JSON.parse(body)).toMatchObject({ error: 'temporarily_unavailable' });
    expect((await lines())[0]).toMatchObject({ level: 'warn' });
  });

  it('of the caller stays one, although a lost connection led to it', async () => {
    const cause = new Error('no database');
    const { server } = setUp([throwing(new Problem('client_invalid', { cause }))]);
    await using it = await server;
    expect((await it.send('/')).status).toBe(400);
  });

  it.each([
    [404, 'not_found'],
    [413, 'payload_too_large'],
    [400, 'invalid_request'],
    [406, 'invalid_request'],
  ])('of Koa with status %i keeps it', async (status, code) => {
    const { server } = setUp([
      (ctx) => {
        ctx.throw(status, 'inner words');
      },
    ]);
    await using it = await server;
    const response = await it.send('/');
    expect(response.status).toBe(status);
    expect(JSON.parse(response.body)).toMatchObject({ error: code });
    expect(response.body).not.toContain('inner words');
  });

  it('with a status of 500 or a status that is none of Koa stays ours', async () => {
    for (const error of [
      Object.assign(new Error('x'), { status: 404 }),
      Object.assign(new Error('x'), { status: 200, expose: true }),
      'a string',
      null,
    ]) {
      const { server } = setUp([throwing(error)]);
      await using it = await server;
      expect((await it.send('/')).status).toBe(500);
    }
  });

  it('leaves nothing of the half-built answer', async () => {
    const { server } = setUp([
      (ctx) => {
        ctx.body = '<b>half</b>';
        ctx.status = 201;
        ctx.set({ Location: '/x', ETag: '"a"', 'Content-Encoding': 'br', 'X-Kept': 'yes' });
        throw new Error('late');
      },
    ]);
    await using it = await server;
    const { status, headers, body } = await it.send('/');
    expect(status).toBe(500);
    expect(body).not.toContain('half');
    expect(headers).not.toHaveProperty('location');
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('content-encoding');
    expect(headers['x-kept']).toBe('yes');
  });

  it('of the page itself still becomes an answer', async () => {
    const { server, lines } = setUp([throwing(new Problem('not_found'))], {
      renderErrorPage: () => Promise.reject(new Error('template broken')),
    });
    await using it = await server;
    const { status, body } = await it.send('/', { headers: browser });
    expect(status).toBe(404);
    expect(JSON.parse(body)).toMatchObject({ error: 'not_found' });
    const messages = (await lines()).map(({ message }) => message);
    expect(messages).toContain('Error page failed');
  });

  it('after the head was sent closes the connection', async () => {
    const { server, lines } = setUp([
      (ctx) => {
        ctx.res.writeHead(200, { 'Content-Length': 100 });
        ctx.res.write('begin');
        throw new Error('late');
      },
    ]);
    await using it = await server;
    await expect(it.send('/')).rejects.toThrow();
    expect((await lines())[0]).toMatchObject({ message: 'Request failed' });
  });

  it('leaves its reason where the audit finds it, unless a better one is there', async () => {
    const seen: unknown[] = [];
    const watch: Middleware = async (ctx, next) => {
      await next();
      seen.push(currentRequest()?.reason);
      ctx.status = 200;
    };
    const { logger } = recordingLogger();
    const mapping = problemResponse({
      logger,
      renderErrorPage: () => '',
      isDatabaseUnavailable: () => false,
    });
    const known: Middleware = (ctx) => {
      const request = currentRequest();
      if (ctx.path === '/known' && request !== undefined) request.reason = 'wrong subject';
      throw new Problem('not_found', { detail: 'gone' });
    };
    const log = requestLog({ logger, metrics: createMetrics() });
    await using it = await serveSteps([log, watch, mapping, known]);
    await it.send('/known');
    await it.send('/unknown');
    expect(seen).toEqual(['wrong subject', `${problems.not_found} gone`]);
  });
});

describe('a request that nobody answered', () => {
  const allowedMethods = (path: string): string[] => (path === '/token' ? ['POST'] : []);

  it('is not found', async () => {
    const { server } = setUp([], { allowedMethods });
    await using it = await server;
    const { status, body } = await it.send('/nowhere');
    expect(status).toBe(404);
    expect(JSON.parse(body)).toMatchObject({ error: 'not_found' });
    expect((await it.send('/token', { method: 'POST' })).status).toBe(404);
  });

  it('with the wrong method learns the right ones', async () => {
    const { server } = setUp([], { allowedMethods });
    await using it = await server;
    const { status, headers, body } = await it.send('/token');
    expect(status).toBe(405);
    expect(headers.allow).toBe('POST');
    expect(JSON.parse(body)).toMatchObject({ error: 'method_not_allowed' });
  });

  it('keeps what the router found out', async () => {
    const router = new Router();
    router.get('/page', (ctx) => {
      ctx.body = 'page';
    });
    const { server } = setUp([router.routes(), router.allowedMethods()] as Middleware[]);
    await using it = await server;
    expect((await it.send('/page')).body).toBe('page');
    const { status, headers, body } = await it.send('/page', { method: 'DELETE' });
    expect(status).toBe(405);
    expect(headers.allow).toBe('HEAD, GET');
    expect(JSON.parse(body)).toMatchObject({ error: 'method_not_allowed' });
  });

  it('is left alone when somebody answered 404 in words of their own', async () => {
    const { server } = setUp([
      (ctx) => {
        ctx.status = 404;
        ctx.body = 'mine';
      },
    ]);
    await using it = await server;
    expect(await it.send('/')).toMatchObject({ status: 404, body: 'mine' });
  });
});
