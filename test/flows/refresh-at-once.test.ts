import { describe, expect, it, onTestFinished } from 'vitest';
import { callbacks, discoverApp, obtainTokens, postForm } from '../support/journey.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

/** A server with this policy, and a public client's refresh token that ten requests present at once. */
async function refreshAtOnce(environment: Record<string, string>) {
  const server = await startAuthorizationServer({ environment });
  onTestFinished(() => server.stop());
  const parameters = { redirect_uri: callbacks.app, scope: 'accounts' };
  const { refresh_token = '' } = await obtainTokens(server, await discoverApp(server), {
    parameters,
  });
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => refresh(server, refresh_token)),
  );
  const issued = answers.filter(({ status }) => status === 200);
  const tokens = new Set(issued.map(({ body }) => String(body['refresh_token'])));
  return { server, answers, tokens };
}

function refresh(server: AuthorizationServer, token: string) {
  const parameters = { grant_type: 'refresh_token', client_id: 'app', refresh_token: token };
  return postForm(server, '/token', { parameters });
}

describe('A public client that refreshes many times at once', () => {
  it('gets one answer each time where the operator lets unproven senders retry', async () => {
    const { server, answers, tokens } = await refreshAtOnce({
      COUNTERSIGN_REFRESH_RETRY_UNPROVEN: 'true',
    });
    expect(answers.map(({ status }) => status)).toEqual(Array.from(answers, () => 200));
    expect(tokens.size).toBe(1);
    await server.running.app.audit.flush();
    const refusals = "SELECT type FROM audit_events WHERE outcome <> 'success'";
    expect(await stored(server, refusals)).toEqual([]);
    expect((await refresh(server, [...tokens].join())).status).toBe(200);
  });

  it('loses the family where nobody may retry', async () => {
    const { server, answers, tokens } = await refreshAtOnce({
      COUNTERSIGN_REFRESH_RETRY: '0',
      COUNTERSIGN_REFRESH_RETRY_UNPROVEN: 'true',
    });
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(9);
    expect(tokens.size).toBe(1);
    expect((await refresh(server, [...tokens].join())).status).toBe(400);
  });
});
