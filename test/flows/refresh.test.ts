import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import {
  atOnce,
  callbacks,
  discoverApp,
  discoverWeb,
  errorOf,
  introspect,
  obtainTokens,
  postForm,
} from '../support/journey.ts';
import { discover, discoverTpp } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

/** Short enough to travel past it without outliving the certificates. */
const refreshTokenTtlSeconds = 600;

let server: AuthorizationServer;
let twin: AuthorizationServer;
let tpp: openid.Configuration;
let app: openid.Configuration;

beforeAll(async () => {
  const environment = {
    COUNTERSIGN_REFRESH_TOKEN_TTL: String(refreshTokenTtlSeconds),
    COUNTERSIGN_ACCESS_TOKEN_TTL: '60',
  };
  server = await startAuthorizationServer({ environment });
  twin = await startAuthorizationServer({ beside: server, environment });
  tpp = await discoverTpp(server);
  app = await discoverApp(server);
});

afterAll(async () => {
  await twin.stop();
  await server.stop();
});

afterEach(() => {
  vi.useRealTimers();
});

const forTpp = { redirect_uri: callbacks.tpp, scope: 'openid email accounts payments' };
const forApp = { redirect_uri: callbacks.app, scope: 'openid accounts' };

async function refreshTokenOf(configuration: openid.Configuration): Promise<string> {
  const parameters = configuration === app ? forApp : forTpp;
  const tokens = await obtainTokens(server, configuration, { parameters });
  return tokens.refresh_token ?? '';
}

function refreshAsApp(token: string, at = server) {
  const parameters = { grant_type: 'refresh_token', client_id: 'app', refresh_token: token };
  return postForm(at, '/token', { parameters });
}

function passTime(seconds: number): void {
  const now = Date.now() + seconds * 1000;
  if (vi.isFakeTimers()) vi.setSystemTime(now);
  else vi.useFakeTimers({ toFake: ['Date'], now });
}

describe('A public client', () => {
  it('gets a new refresh token each time', async () => {
    const first = await refreshTokenOf(app);
    const second = await openid.refreshTokenGrant(app, first);
    const third = await openid.refreshTokenGrant(app, second.refresh_token ?? '');
    const all = [first, second.refresh_token, third.refresh_token];
    expect(new Set(all).size).toBe(3);
    expect(decodeJwt(third.access_token)).toMatchObject({
      sub: server.customer.id,
      scope: 'openid accounts',
    });
    expect(decodeJwt(third.id_token ?? '').sub).toBe(server.customer.id);
  });

  it('that uses an old one again loses the whole family', async () => {
    const first = await refreshTokenOf(app);
    const second = await openid.refreshTokenGrant(app, first);
    const third = await openid.refreshTokenGrant(app, second.refresh_token ?? '');
    expect(await introspect(server, third.access_token)).toMatchObject({ active: true });

    expect(await refreshAsApp(first, twin)).toMatchObject({
      status: 400,
      body: { error: 'invalid_grant' },
    });
    for (const token of [first, second.refresh_token, third.refresh_token]) {
      expect(await errorOf(openid.refreshTokenGrant(app, token ?? ''))).toBe('invalid_grant');
    }
    for (const { access_token } of [second, third]) {
      expect(await introspect(server, access_token)).toEqual({ active: false });
    }
  });

  it('loses only that family: another login goes on', async () => {
    const [victim, other] = [await refreshTokenOf(app), await refreshTokenOf(app)];
    await openid.refreshTokenGrant(app, victim);
    expect(await errorOf(openid.refreshTokenGrant(app, victim))).toBe('invalid_grant');
    await expect(openid.refreshTokenGrant(app, other)).resolves.toHaveProperty('access_token');
  });

  it('that uses one 50 times at once on two servers succeeds at most once, and nothing survives', async () => {
    const token = await refreshTokenOf(app);
    const answers = await atOnce([server, twin], 50, (at) => refreshAsApp(token, at));
    const successes = answers.filter(({ status }) => status === 200);
    const refusals = answers.filter(({ status }) => status !== 200);
    expect(successes.length).toBeLessThanOrEqual(1);
    expect(new Set(refusals.map(({ status, body }) => [status, body['error']].join(' ')))).toEqual(
      new Set(['400 invalid_grant']),
    );
    for (const { body } of successes) {
      expect(await refreshAsApp(String(body['refresh_token']))).toMatchObject({ status: 400 });
      expect(await introspect(server, String(body['access_token']))).toEqual({ active: false });
    }
    expect(await refreshAsApp(token)).toMatchObject({ status: 400 });
  });

  it('is known to have replayed it', async () => {
    const { refresh_token: token = '', access_token } = await obtainTokens(server, app, {
      parameters: forApp,
    });
    await openid.refreshTokenGrant(app, token);
    await refreshAsApp(token);
    await vi.waitFor(
      async () => {
        const events = await stored(
          server,
          `SELECT 1 FROM audit_events WHERE type = 'replay.detected' AND client_id = 'app'
         AND detail->>'kind' = 'RefreshToken'`,
        );
        expect(events.length).toBeGreaterThan(0);
      },
      { timeout: 10_000 },
    );
    expect(await introspect(server, access_token)).toEqual({ active: false });
  });

  it('does not live longer by rotating', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    let token = await refreshTokenOf(app);
    for (let age = 0; age < refreshTokenTtlSeconds - 100; age += 100) {
      passTime(100);
      token = (await openid.refreshTokenGrant(app, token)).refresh_token ?? '';
    }
    passTime(101);
    expect(await errorOf(openid.refreshTokenGrant(app, token))).toBe('invalid_grant');
  });
});

describe('A client with a certificate', () => {
  it('keeps its refresh token', async () => {
    const token = await refreshTokenOf(tpp);
    const first = await openid.refreshTokenGrant(tpp, token);
    const second = await openid.refreshTokenGrant(tpp, token);
    expect([first.refresh_token, second.refresh_token]).toEqual([token, token]);
    expect(first.access_token).not.toBe(second.access_token);
  });

  it('may use it 50 times at once on two servers', async () => {
    const token = await refreshTokenOf(tpp);
    const parameters = { grant_type: 'refresh_token', client_id: 'tpp', refresh_token: token };
    const answers = await atOnce([server, twin], 50, (at) =>
      postForm(at, '/token', { parameters, certificate: server.tpp }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('keeps it to the end of its lifetime and no longer', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    const token = await refreshTokenOf(tpp);
    passTime(refreshTokenTtlSeconds - 2);
    await expect(openid.refreshTokenGrant(tpp, token)).resolves.toHaveProperty('access_token');
    passTime(3);
    expect(await errorOf(openid.refreshTokenGrant(tpp, token))).toBe('invalid_grant');
  });

  it('goes on with a renewed certificate of the same subject, to which the new token is bound', async () => {
    const before = await obtainTokens(server, tpp, { parameters: forTpp });
    const renewed = await clientCertificate(server.certificates.authority, {
      subject: tppSubject,
    });
    const configuration = await discover(server, {
      id: 'tpp',
      authentication: openid.TlsClientAuth(),
      certificate: renewed,
    });
    const after = await openid.refreshTokenGrant(configuration, before.refresh_token ?? '');
    const bindings = [before, after].map(({ access_token }) =>
      JSON.stringify(decodeJwt(access_token)['cnf']),
    );
    expect(bindings[0]).toMatch(/x5t#S256/);
    expect(bindings[1]).toMatch(/x5t#S256/);
    expect(bindings[0]).not.toBe(bindings[1]);
  });

  it.each([
    ['without one', undefined],
    ['with one of another subject', 'CN=somebody-else'],
  ])('is refused %s', async (_, subject) => {
    const token = await refreshTokenOf(tpp);
    const parameters = { grant_type: 'refresh_token', client_id: 'tpp', refresh_token: token };
    const other = await clientCertificate(server.certificates.authority, {
      subject: subject ?? 'CN=unused',
    });
    const answer = await postForm(server, '/token', {
      parameters,
      ...(subject === undefined ? {} : { certificate: other }),
    });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    await expect(openid.refreshTokenGrant(tpp, token)).resolves.toHaveProperty('access_token');
  });
});

describe('A refresh', () => {
  it('may ask for less, which holds for that token only', async () => {
    const token = await refreshTokenOf(tpp);
    const less = await openid.refreshTokenGrant(tpp, token, { scope: 'accounts' });
    expect(decodeJwt(less.access_token)).toMatchObject({ scope: 'accounts', aud: accountsApi });
    expect(less.id_token).toBeUndefined();
    const all = await openid.refreshTokenGrant(tpp, token);
    expect(decodeJwt(all.access_token)['scope']).toBe('openid email accounts payments');
  });

  it.each(['accounts admin', 'accounts openid phone', 'offline_access', 'nothing-known'])(
    'may not ask for more: %s',
    async (scope) => {
      const token = await refreshTokenOf(tpp);
      expect(await errorOf(openid.refreshTokenGrant(tpp, token, { scope }))).toBe('invalid_scope');
    },
  );

  it('is refused to another client, and the token stays good for its own', async () => {
    const web = await discoverWeb(server);
    const [ofTpp, ofApp] = [await refreshTokenOf(tpp), await refreshTokenOf(app)];
    expect(await errorOf(openid.refreshTokenGrant(web, ofTpp))).toBe('invalid_grant');
    expect(await errorOf(openid.refreshTokenGrant(web, ofApp))).toBe('invalid_grant');
    expect(await errorOf(openid.refreshTokenGrant(app, ofTpp))).toBe('invalid_grant');
    await expect(openid.refreshTokenGrant(tpp, ofTpp)).resolves.toHaveProperty('access_token');
    await expect(openid.refreshTokenGrant(app, ofApp)).resolves.toHaveProperty('access_token');
  });

  it.each(['', 'nonsense', 'x'.repeat(10_000), '\u0000', 'eyJhbGciOiJub25lIn0.e30.'])(
    'with the made-up token %j is refused',
    async (token) => {
      const { status, body } = await refreshAsApp(token);
      expect(status).toBe(400);
      expect(['invalid_grant', 'invalid_request']).toContain(body['error']);
    },
  );

  it('is refused for a customer who was suspended, and works again afterwards', async () => {
    const token = await refreshTokenOf(tpp);
    const { customers } = server.running.app;
    await customers.setStatus(server.customer.id, 'suspended');
    try {
      expect(await errorOf(openid.refreshTokenGrant(tpp, token))).toBe('invalid_grant');
    } finally {
      await customers.setStatus(server.customer.id, 'active');
    }
    await expect(openid.refreshTokenGrant(tpp, token)).resolves.toHaveProperty('access_token');
  });

  it('token is stored as a digest only', async () => {
    const token = await refreshTokenOf(tpp);
    const rows = await stored<{ row: string }>(
      server,
      'SELECT row_to_json(artifacts)::text AS row FROM artifacts',
    );
    const hex = Buffer.from(token).toString('hex');
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter(({ row }) => row.includes(token) || row.includes(hex))).toEqual([]);
  });
});
