import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
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
});
