import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startAuthorizationServer } from '../support/server.ts';

const taken: Server[] = [];

afterEach(async () => {
  await Promise.all(taken.splice(0).map((server) => new Promise((done) => server.close(done))));
});

async function takePort(port = 0): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  taken.push(server);
  return String((server.address() as AddressInfo).port);
}

/** A store of the rate limits that takes connections and never answers. */
async function limitStore() {
  const sockets = new Set<Socket>();
  let connections = 0;
  const store = createServer((socket) => {
    connections += 1;
    sockets.add(socket.on('error', () => undefined).resume());
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => store.listen(0, '127.0.0.1', resolve));
  taken.push(store);
  const { port } = store.address() as AddressInfo;
  return {
    environment: {
      COUNTERSIGN_RATE_LIMIT_STORE: 'redis',
      COUNTERSIGN_RATE_LIMIT_REDIS_URL: `redis://127.0.0.1:${String(port)}`,
    },
    open: () => sockets.size,
    connections: () => connections,
  };
}

describe('A start that finds the second of its two doors taken', () => {
  it('fails, and gives the first one back', async () => {
    const mtlsPort = await takePort();
    const port = await takePort();
    await new Promise((done) => taken.pop()?.close(done));
    const start = startAuthorizationServer({
      environment: { COUNTERSIGN_PORT: port, COUNTERSIGN_MTLS_PORT: mtlsPort },
    });
    await expect(start).rejects.toMatchObject({ code: 'already_running' });
    await expect(takePort(Number(port))).resolves.toBe(port);
  });

  it('leaves no connection to the store of the rate limits, which would keep the process alive', async () => {
    const store = await limitStore();
    const start = startAuthorizationServer({
      environment: { ...store.environment, COUNTERSIGN_MTLS_PORT: await takePort() },
    });
    await expect(start).rejects.toMatchObject({ code: 'already_running' });
    await expect.poll(store.open).toBe(0);
    expect(store.connections()).toBe(1);
  });
});

describe('A start whose app can not be built', () => {
  it('leaves no connection to the store of the rate limits either', async () => {
    const store = await limitStore();
    const start = startAuthorizationServer({
      environment: store.environment,
      developmentRoutes() {
        throw new Error('a route that does not work');
      },
    });
    await expect(start).rejects.toThrow('a route that does not work');
    await expect.poll(store.connections).toBe(1);
    await expect.poll(store.open).toBe(0);
  });
});
