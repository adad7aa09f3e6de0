import { randomBytes } from 'node:crypto';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyedDigest } from '../../src/security/secrets.ts';
import { discover } from '../support/openid.ts';
import { auditOf, basic, databaseText, post, rows } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

const machine = { grant_type: 'client_credentials', scope: 'accounts' };
const newSecret = () => randomBytes(32).toString('base64url');

function requestToken(form: Record<string, string>, headers = {}): Promise<Answer> {
  return post(server.fetch(), `${server.issuer}/token`, { form: { ...machine, ...form }, headers });
}

/** Registers a client with a secret; the metadata may say otherwise. */
async function register(id: string, secret: string, method = 'client_secret_basic') {
  await server.running.app.clients.insert({
    source: 'operator',
    secret,
    permissions: { [accountsApi]: ['accounts'] },
    metadata: {
      client_id: id,
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: method as 'client_secret_basic',
    },
  });
}

async function reasonOf(answer: Answer): Promise<unknown> {
  const [event] = await auditOf(server, answer);
  return event?.detail['reason'];
}

describe('A client with a secret', () => {
  it.each([
    ['in the header', openid.ClientSecretBasic],
    ['in the body', openid.ClientSecretPost],
  ])('is known by it %s', async (_name, method) => {
    const authentication = method(server.secrets.web);
    const configuration = await discover(server, { id: 'web', authentication });
    const token = await openid.clientCredentialsGrant(configuration, { scope: 'accounts' });
    expect(token.scope).toBe('accounts');
  });

  it('may have letters in it that the header has to encode', async () => {
    const secret = `%:+ /?&=~"${newSecret()}`;
    await register('odd:secret', secret, 'client_secret_post');
    const form = { client_id: 'odd:secret', client_secret: secret };
    expect((await requestToken(form)).status).toBe(200);
    expect((await requestToken({}, basic('odd:secret', secret))).status).toBe(200);
  });

  it('is refused with another secret, whatever it looks like', async () => {
    const { web } = server.secrets;
    const wrong = [
      newSecret(),
      server.secrets['accounts-rs'],
      `${web}a`,
      web.slice(0, -1),
      ` ${web}`,
      web.toUpperCase(),
      'kept as a digest',
      'x'.repeat(10_000),
    ];
    for (const secret of wrong) {
      const answers = [
        await requestToken({}, basic('web', secret)),
        await requestToken({ client_id: 'web', client_secret: secret }),
      ];
      for (const answer of answers) {
        expect([answer.status, answer.body]).toEqual([
          401,
          { error: 'invalid_client', error_description: 'client authentication failed' },
        ]);
        expect(await reasonOf(answer)).toMatch(/invalid secret/);
      }
    }
  });

  it('is refused without one', async () => {
    const answers = [
      await requestToken({}, basic('web', '')),
      await requestToken({ client_id: 'web', client_secret: '' }),
      await requestToken({ client_id: 'web' }),
      await requestToken({}),
    ];
    expect(answers.map(({ status }) => [400, 401].includes(status))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    for (const { text } of answers) expect(text).not.toContain('access_token');
  });

  it('is refused when it sends its secret in two ways', async () => {
    const { web } = server.secrets;
    const answer = await requestToken({ client_id: 'web', client_secret: web }, basic('web', web));
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
  });

  it('is refused when the names in header and body differ', async () => {
    const answer = await requestToken({ client_id: 'app' }, basic('web', server.secrets.web));
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
  });

  it('is refused over a header of another kind', async () => {
    for (const authorization of ['Bearer x', 'Basic', 'Basic !!!', 'Basic d2Vi', `Digest x`]) {
      const { status, text } = await requestToken({ client_id: 'web' }, { authorization });
      expect([400, 401]).toContain(status);
      expect(text).not.toContain('access_token');
    }
  });

  it('is answered with a challenge when it used the header', async () => {
    const answer = await requestToken({}, basic('web', newSecret()));
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });
});

describe('Seen from outside', () => {
  const outside = ({ status, text, headers }: Answer) => [
    status,
    text,
    headers.get('www-authenticate'),
    [...headers.keys()],
  ];

  it('an unknown client is the same as a wrong secret, a wrong method or a suspended client', async () => {
    const secret = newSecret();
    await register('to-suspend', secret);
    await server.running.app.clients.setStatus('to-suspend', 'suspended');
    const expected = outside(await requestToken({}, basic('web', newSecret())));
    for (const [id, its] of [
      ['nobody', newSecret()],
      ['no body', newSecret()],
      ['tpp', newSecret()],
      ['app', newSecret()],
      ['to-suspend', secret],
    ] as const) {
      expect(outside(await requestToken({}, basic(id, its)))).toEqual(expected);
    }
  });

  it('the audit trail knows the difference', async () => {
    const reasons = [
      await reasonOf(await requestToken({}, basic('nobody', newSecret()))),
      await reasonOf(await requestToken({}, basic('tpp', newSecret()))),
      await reasonOf(await requestToken({}, basic('web', newSecret()))),
    ];
    expect(reasons).toEqual([
      expect.stringContaining('client not found'),
      expect.stringContaining('does not match the registered'),
      expect.stringContaining('invalid secret'),
    ]);
  });
});

describe('A public client', () => {
  it('is refused with a secret, even an empty one in the header', async () => {
    for (const secret of [newSecret(), 'kept as a digest', 'undefined', 'null']) {
      const { status, body } = await requestToken({}, basic('app', secret));
      expect([status, body['error']]).toEqual([401, 'invalid_client']);
    }
  });

  it('gets no token of its own', async () => {
    const answer = await requestToken({ client_id: 'app' });
    expect([answer.status, answer.body]).toEqual([
      400,
      {
        error: 'unauthorized_client',
        error_description: 'requested grant type is not allowed for this client',
      },
    ]);
    const [event] = await auditOf(server, answer);
    expect(event).toMatchObject({
      type: 'token.refused',
      detail: { error: 'unauthorized_client' },
    });
    const metrics = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
    expect(metrics).toContain(
      'countersign_refusals_total{endpoint="token",error="unauthorized_client"}',
    );
  });
});

describe('A client that is suspended', () => {
  it('is refused at once, and known again when the suspension ends', async () => {
    const secret = newSecret();
    await register('paused', secret);
    const { clients } = server.running.app;
    const status = async () => (await requestToken({}, basic('paused', secret))).status;
    expect(await status()).toBe(200);
    await clients.setStatus('paused', 'suspended');
    expect(await status()).toBe(401);
    await clients.setStatus('paused', 'active');
    expect(await status()).toBe(200);
  });
});

describe('A new secret', () => {
  it('replaces the old one at once', async () => {
    const [old, fresh] = [newSecret(), newSecret()];
    await register('renewing', old);
    expect((await requestToken({}, basic('renewing', old))).status).toBe(200);
    await server.running.app.clients.setSecret('renewing', fresh);
    expect((await requestToken({}, basic('renewing', old))).status).toBe(401);
    expect((await requestToken({}, basic('renewing', fresh))).status).toBe(200);
  });
});

describe('The database', () => {
  it('has digests of secrets, and no secret anywhere', async () => {
    await requestToken({}, basic('web', server.secrets.web));
    const wrong = newSecret();
    await requestToken({ client_id: 'web', client_secret: wrong });
    await server.running.app.audit.flush();
    const text = await databaseText(server);
    const log = await server.log.raw();
    for (const secret of [...Object.values(server.secrets), wrong]) {
      for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const) {
        expect(text).not.toContain(Buffer.from(secret).toString(form));
      }
      expect(log).not.toContain(secret);
    }
    const [row] = await rows(server, `SELECT secret_digest FROM clients WHERE id = 'web'`);
    const digest = keyedDigest(server.material.digestKey, 'client-secret:web', server.secrets.web);
    expect(row?.['secret_digest']).toEqual(digest);
  });

  it('does not let a copied digest open another client', async () => {
    const secret = newSecret();
    await register('copied', secret);
    await register('copy', newSecret());
    await rows(
      server,
      `UPDATE clients SET secret_digest = (SELECT secret_digest FROM clients WHERE id = 'copied') WHERE id = 'copy'`,
    );
    expect((await requestToken({}, basic('copied', secret))).status).toBe(200);
    expect((await requestToken({}, basic('copy', secret))).status).toBe(401);
  });
});
