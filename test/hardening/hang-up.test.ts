import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { rawForm, sendRaw } from '../support/attack.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

it.each(['/introspect', '/revoke', '/token'])(
  'A caller who hangs up amid the body of %s is not taken for a database that is away',
  async (path) => {
    const headers = { ...basic('web', server.secrets.web), 'Content-Length': '5000' };
    await sendRaw(server, rawForm(server, path, { body: 'token=', headers }), { patienceMs: 50 });
    const request = await vi.waitFor(
      async () => {
        const lines = await server.log.lines();
        const line = lines.find((one) => one.message === 'Request' && one['path'] === path);
        expect(line).toBeDefined();
        return line;
      },
      { timeout: 10_000 },
    );
    expect(request).toMatchObject({ status: 400 });
  },
);
