import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandLine, commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { newClientKey } from '../support/fapi.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let cli: CommandLine;
/** A JWK set, for standard input. */
let keys: string;

beforeAll(async () => {
  server = await startAuthorizationServer();
  cli = await commandLineBeside(server);
  keys = JSON.stringify({ keys: [(await newClientKey()).jwk] });
});

afterAll(async () => {
  await cli.remove();
  await server.stop();
});

const dn = 'CN=tpp,C=GB';

function create(id: string, options: readonly string[], input?: string) {
  const callback = ['--redirect-uri', `https://${id}.example.com/callback`];
  return cli.run(['clients', 'create', '--id', id, ...callback, ...options, '--json'], input);
}

describe('The profile of a client', () => {
  it('is named at registration and decides the rest', async () => {
    const options = ['--profile', 'fapi2', '--auth-method', 'tls_client_auth', '--subject-dn', dn];
    const { json } = await create('tpp-1', options);
    expect(json()['client']).toMatchObject({
      metadata: {
        security_profile: 'fapi2',
        require_pushed_authorization_requests: true,
        tls_client_certificate_bound_access_tokens: true,
        id_token_signed_response_alg: 'PS256',
      },
    });
  });

  it('takes keys and DPoP', async () => {
    const options = [
      '--profile',
      'fapi2',
      '--auth-method',
      'private_key_jwt',
      '--dpop',
      '--jwks',
      '-',
    ];
    const { json } = await create('keyed', options, keys);
    expect(json()['client']).toMatchObject({ metadata: { dpop_bound_access_tokens: true } });
  });

  it('refuses what does not keep to it, and names every fault', async () => {
    const { exitCode, errors } = await create('secretive', ['--profile', 'fapi2']);
    expect(exitCode).toBe(1);
    expect(errors).toContain('token_endpoint_auth_method must be');
    expect(errors).toContain('its tokens must be bound');
  });

  it('can be changed, there and back, with all that it decides', async () => {
    await create('mover', ['--auth-method', 'tls_client_auth', '--subject-dn', dn]);
    const up = await cli.run(['clients', 'update', 'mover', '--profile', 'fapi2', '--json']);
    expect(up.json()['client']).toMatchObject({
      metadata: { require_pushed_authorization_requests: true },
    });
    const down = await cli.run(['clients', 'update', 'mover', '--profile', 'baseline', '--json']);
    const { metadata } = down.json()['client'] as { metadata: Record<string, unknown> };
    expect(metadata).not.toHaveProperty('require_pushed_authorization_requests');
  });

  it('is at least that of the server', async () => {
    const strict = await commandLine({
      ...cli.environment,
      COUNTERSIGN_MINIMUM_PROFILE: 'fapi2',
    });
    try {
      const words = ['clients', 'create', '--id', 'late', '--redirect-uri', 'https://a.test/'];
      const low = await strict.run([...words, '--profile', 'baseline']);
      expect([low.exitCode, low.errors]).toEqual([
        1,
        expect.stringContaining('this server accepts fapi2 at least') as unknown,
      ]);
      const certificate = ['--auth-method', 'tls_client_auth', '--subject-dn', dn, '--json'];
      const silent = await strict.run([...words, ...certificate]);
      expect(silent.json()['client']).toMatchObject({ metadata: { security_profile: 'fapi2' } });
      const resourceServer = ['clients', 'create', '--id', 'late-rs', '--no-grant-types'];
      expect((await strict.run(resourceServer)).exitCode).toBe(0);
    } finally {
      await strict.remove();
    }
  });
});

describe('clients assess', () => {
  it('tells of one client what it lacks', async () => {
    const { exitCode, output } = await cli.run(['clients', 'assess', 'web']);
    expect(exitCode).toBe(0);
    expect(output).toMatch(/^web \(baseline\)\n {2}FAPI 2\.0 Security Profile:\n {4}- token_endp/);
    expect(output).toContain('  RFC 9700:\n    - §2.5: it authenticates by a shared secret');
  });

  it('tells of one that is there', async () => {
    const options = ['--profile', 'fapi2', '--auth-method', 'tls_client_auth', '--subject-dn', dn];
    await create('complete', options);
    const { output } = await cli.run(['clients', 'assess', 'complete']);
    expect(output).toContain('FAPI 2.0 Security Profile: nothing is missing');
    expect(output).toContain('RFC 9700: nothing is missing');
  });

  it('tells of all, for programs too', async () => {
    const { json } = await cli.run(['clients', 'assess', '--json']);
    const assessments = json()['assessments'] as { id: string; fapi2: string[] }[];
    expect(assessments.find(({ id }) => id === 'tpp')?.fapi2.join()).toContain('id_token_signed');
    expect(assessments.length).toBeGreaterThan(4);
  });

  it('does not know a client that is not there', async () => {
    const { exitCode, errors } = await cli.run(['clients', 'assess', 'nobody']);
    expect([exitCode, errors]).toEqual([1, 'There is no such client: nobody.\n']);
  });
});
