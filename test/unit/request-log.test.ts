import type { Middleware } from 'koa';
import { expect, describe, it } from 'vitest';
import { requestLog } from '../../src/http/request-log.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { currentRequest } from '../../src/observability/request-context.ts';
import type { RequestContext } from '../../src/observability/request-context.ts';
import { serveSteps } from '../support/http-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const interactionId = 'C4405450-febe-11e8-80a5-0fcebb157400';

function setUp() {
  const { logger, lines, raw } = recordingLogger();
  const metrics = createMetrics();
  return { step: requestLog({ logger, metrics }), metrics, logger, lines, raw };
}

const answerOk: Middleware = (ctx) => {
  ctx.body = 'ok';
};

describe('the request log', () => {
  it('gives each request its own identifier, seen inside, in the answer and in every line', async () => {
    const { step, logger, lines } = setUp();
    const inside: (string | undefined)[] = [];
    await using server = await serveSteps([
      step,
      async (ctx) => {
        await Promise.resolve();
        inside.push(currentRequest()?.requestId);
        logger.info('inside');
        ctx.body = 'ok';
      },
    ]);
    const first = await server.send('/a', { headers: { 'X-Request-Id': interactionId } });
    const second = await server.send('/a');
    const sent = [first, second].map(({ headers }) => headers['x-request-id']);
    expect(sent).toEqual(inside);
    expect(new Set([...sent, interactionId]).size).toBe(3);
    const logged = (await lines()).map(({ requestId }) => requestId);
    expect(logged).toEqual([sent[0], sent[0], sent[1], sent[1]]);
  });

  it('sends a FAPI interaction identifier back, but only a UUID', async () => {
    const { step } = setUp();
    await using server = await serveSteps([step, answerOk]);
    const echo = async (value: string) => {
      const { headers } = await server.send('/', { headers: { 'X-Fapi-Interaction-Id': value } });
      return headers['x-fapi-interaction-id'];
    };
    expect(await echo(interactionId)).toBe(interactionId);
    expect(await echo(`${interactionId} x`)).toBeUndefined();
    expect(await echo('<script>')).toBeUndefined();
  });

  it('writes one line per request, without the query', async () => {
    const { step, lines, raw } = setUp();
    await using server = await serveSteps([step, answerOk], 'mtls');
    await server.send('/token/abc?code=secret-code&x=secret-x', { method: 'POST' });
    expect(await lines()).toEqual([
      expect.objectContaining({
        message: 'Request',
        method: 'POST',
        path: '/token/abc',
        status: 200,
        route: 'other',
        listener: 'mtls',
        address: '127.0.0.1',
        milliseconds: expect.any(Number) as number,
      }) as object,
    ]);
    expect(await raw()).not.toContain('secret');
  });

  it('hides what looks like a secret in a path and a reason', async () => {
    const { step, lines, raw } = setUp();
    const refuse: Middleware = (ctx) => {
      const request = currentRequest();
      if (request !== undefined) request.reason = 'no client for client_secret=hunter2';
      ctx.body = 'ok';
    };
    await using server = await serveSteps([step, refuse]);
    await server.send('/x;code=abcdefgh');
    await server.send(`/interaction/${'a'.repeat(43)}/login`);
    expect(await lines()).toHaveLength(2);
    expect(await raw()).not.toMatch(/hunter2|abcdefgh|aaaa/);
  });

  it('measures by route name, never by path', async () => {
    const { step, metrics } = setUp();
    const name: Middleware = (ctx) => {
      if (ctx.path === '/ours') ctx.state['route'] = 'login.submit';
      if (ctx.path === '/theirs') Object.assign(ctx, { oidc: { route: 'token' } });
      ctx.body = 'ok';
    };
    await using server = await serveSteps([step, name]);
    for (const path of ['/ours', '/theirs', '/anything', '/else']) await server.send(path);
    const text = await metrics.text();
    const count = (route: string): string =>
      `countersign_http_request_seconds_count{route="${route}",method="GET",status="200"}`;
    expect(text).toContain(`${count('login.submit')} 1`);
    expect(text).toContain(`${count('token')} 1`);
    expect(text).toContain(`${count('other')} 2`);
  });

  it('logs and measures a request whose handling failed', async () => {
    const { step, lines } = setUp();
    await using server = await serveSteps([
      step,
      () => {
        const request = currentRequest();
        if (request !== undefined) request.reason = 'the inner cause';
        throw new Error('broken');
      },
    ]);
    await server.send('/');
    expect(await lines()).toEqual([
      expect.objectContaining({ message: 'Request', reason: 'the inner cause' }) as object,
    ]);
  });

  it('tells what was recorded in the audit, and nothing twice', async () => {
    const { step, lines } = setUp();
    const context: { request?: RequestContext | undefined } = {};
    await using server = await serveSteps([
      step,
      (ctx) => {
        context.request = currentRequest();
        context.request?.events?.push({ type: 'token.issued', detail: { scope: 'accounts' } });
        ctx.body = 'ok';
      },
    ]);
    await server.send('/token');
    expect(await lines()).toEqual([
      expect.objectContaining({
        message: 'Request',
        events: [{ type: 'token.issued', detail: { scope: 'accounts' } }],
      }) as object,
    ]);
    // What is recorded later has to find another line.
    expect(context.request).toHaveProperty('events', undefined);
  });
});
