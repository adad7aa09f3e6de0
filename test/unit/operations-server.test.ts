import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { bounds } from '../../src/bounds.ts';
import {
  createOperationsServer,
  type OperationsServerOptions,
  type Readiness,
} from '../../src/http/health.ts';
import { createMetrics } from '../../src/observability/metrics.ts';

const ready: Readiness = { ready: true, checks: { database: 'up' } };

function makeServer(options: Partial<OperationsServerOptions> = {}) {
  const server = createOperationsServer({
    address: '127.0.0.1',
    port: 0,
    metrics: createMetrics(),
    readiness: () => Promise.resolve(ready),
    ...options,
  });
  onTestFinished(() => server.close());
  return server;
}

async function start(options: Partial<OperationsServerOptions> = {}) {
  const server = makeServer(options);
  await server.listen();
  return (path: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${String(server.port())}${path}`, init);
}

describe('the operations server', () => {
  it('says that it is alive and ready, and shows metrics', async () => {
    const get = await start();
    expect((await get('/livez')).status).toBe(200);
    const readiness = await get('/readyz?verbose');
    expect(readiness.status).toBe(200);
    expect(readiness.headers.get('cache-control')).toBe('no-store');
    expect(await readiness.json()).toEqual(ready);
    const metrics = await get('/metrics');
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=/);
    expect(await metrics.text()).toContain('countersign_info');
  });

  it('has bounds of its own', async () => {
    const server = makeServer();
    await server.listen();
    const answerTo = async (lines: readonly string[]) => {
      const socket = connect(server.port(), '127.0.0.1');
      socket.write(['GET /livez HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n'));
      const [first] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return first.toString().slice(9, 12);
    };
    const many = (count: number) => Array.from({ length: count }, (_, i) => `X-${String(i)}: y`);
    expect(await answerTo(many(50))).toBe('200');
    expect(await answerTo(many(bounds.operations.maxHeaders + 1))).toMatch(/^4/);
    expect(await answerTo([`X: ${'y'.repeat(bounds.operations.maxHeaderBytes)}`])).toMatch(/^4/);
  });

  it('knows no other path and no other method', async () => {
    const get = await start();
    for (const path of ['/', '/livez/', '/metrics/x', '/%6Divez', '/constructor']) {
      expect((await get(path)).status).toBe(404);
    }
    for (const method of ['POST', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await get('/livez', { method });
      expect({ status, allow: headers.get('allow') }).toEqual({ status: 405, allow: 'GET, HEAD' });
    }
    const head = await get('/livez', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it.each([
    ['is not ready', () => Promise.resolve({ ready: false, checks: { database: 'down' } }), 'down'],
    ['fails', () => Promise.reject(new Error('secret')), 'the check failed'],
    ['does not end', () => new Promise<Readiness>(() => undefined), 'no answer within 20 ms'],
  ])('is not ready when the check %s', async (_, readiness, words) => {
    const get = await start({ readiness, readinessTimeoutMs: 20 });
    const response = await get('/readyz');
    expect(response.status).toBe(503);
    expect(await response.text()).toContain(words);
    expect((await get('/livez')).status).toBe(200);
  });

  it('checks at most once a second, however often it is asked', async () => {
    let now = 5000;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const readiness = vi.fn(() => Promise.resolve(ready));
    const get = await start({ readiness });
    await Promise.all([get('/readyz'), get('/readyz'), get('/readyz')]);
    now = 5999;
    await get('/readyz');
    expect(readiness).toHaveBeenCalledTimes(1);
    now = 6000;
    await get('/readyz');
    expect(readiness).toHaveBeenCalledTimes(2);
  });

  it('says so when its port is taken', async () => {
    const first = makeServer();
    await first.listen();
    const second = makeServer({ port: first.port() });
    await expect(second.listen()).rejects.toMatchObject({ code: 'already_running' });
  });

  it('stops although connections are open', async () => {
    const server = makeServer();
    await server.listen();
    const address = `http://127.0.0.1:${String(server.port())}/livez`;
    await fetch(address);
    await server.close();
    await expect(fetch(address)).rejects.toThrow();
  });
});
