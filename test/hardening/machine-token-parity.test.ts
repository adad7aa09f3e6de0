import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  auditedAs,
  comparable,
  ignored,
  issuedByEngine,
  plainPairs,
  startMachineServer,
  withoutName,
} from '../support/machine-tokens.ts';
import type { MachineServer, Pairs } from '../support/machine-tokens.ts';
import { post } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, opaqueApi } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

type Request = Parameters<MachineServer['ask']>[0];
type Certificate = keyof MachineServer['certificates'];

let machines: MachineServer;
let server: AuthorizationServer;

beforeAll(async () => {
  machines = await startMachineServer();
  ({ server } = machines);
});

afterAll(() => machines.stop());

describe('What is not quite as plain is left to the engine', () => {
  const rest = (id: string) => plainPairs(id).slice(0, 2);
  it.each<[string, (id: string) => Request, number]>([
    ['no scope', (id) => ({ pairs: rest(id) }), 200],
    ['an empty scope', (id) => ({ pairs: [...rest(id), ['scope', '']] }), 200],
    ['a scope twice', (id) => ({ pairs: [...rest(id), ['scope', 'accounts accounts']] }), 200],
    ['a scope too many', (id) => ({ pairs: [...rest(id), ['scope', 'accounts admin']] }), 400],
    ['two spaces', (id) => ({ pairs: [...rest(id), ['scope', 'accounts  payments']] }), 400],
    ['openid', (id) => ({ pairs: [...rest(id), ['scope', 'openid accounts']] }), 400],
    [
      'scope of grants',
      (id) => ({ pairs: [...rest(id), ['scope', 'grant_management_query']] }),
      200,
    ],
    ['two scopes', (id) => ({ pairs: [...plainPairs(id), ['scope', 'payments']] }), 400],
    ['two clients', (id) => ({ pairs: [...plainPairs(id), ['client_id', 'tpp']] }), 400],
    ['two resources', (id) => withResources(id, [accountsApi, opaqueApi]), 400],
    [
      'an opaque resource',
      (id) => ({ pairs: [...rest(id), ['scope', 'statements'], ['resource', opaqueApi]] }),
      200,
    ],
    ['no such resource', (id) => withResources(id, ['https://nobody.example.com']), 400],
    ['no URI', (id) => withResources(id, ['accounts']), 400],
    [
      'authorization details',
      (id) => ({ pairs: [...plainPairs(id), ['authorization_details', '[]']] }),
      200,
    ],
    ['a secret beside it', (id) => ({ pairs: [...plainPairs(id), ['client_secret', 'x']] }), 401],
    [
      'an Authorization header',
      (id) => ({ pairs: plainPairs(id), headers: { authorization: 'Basic eDp4' } }),
      400,
    ],
    ['a DPoP proof', (id) => ({ pairs: plainPairs(id), headers: { dpop: 'x' } }), 400],
    ['an origin', (id) => ({ pairs: plainPairs(id), headers: { origin: 'https://a.test' } }), 400],
    [
      'another certificate',
      (id) => ({ pairs: plainPairs(id), certificate: machines.certificates.other }),
      401,
    ],
  ])('%s', async (_what, request, status) => {
    const id = machines.fresh();
    let answer: Answer | undefined;
    const issued = await issuedByEngine(async () => {
      answer = await machines.ask(request(id));
    });
    expect([answer?.status, issued]).toEqual([status, status === 200 ? 1 : 0]);
  });

  function withResources(id: string, resources: string[]): Request {
    return {
      pairs: [...plainPairs(id), ...resources.map((one) => ['resource', one] as [string, string])],
    };
  }

  it.each(['code', 'proved', 'nobody'])('the client "%s"', async (id) => {
    const issued = await issuedByEngine(async () => {
      const { status } = await machines.ask({ pairs: plainPairs(id) });
      expect([400, 401]).toContain(status);
    });
    expect(issued).toBe(0);
  });

  it('no certificate, which the connection has none of', async () => {
    const form = plainPairs(machines.fresh());
    const { status, body } = await post(server.fetch(), `${server.issuer}/token`, { form });
    expect([status, body['error']]).toEqual([401, 'invalid_client']);
  });
});

it('Every request gets the same answer whether or not it has a parameter that is ignored', async () => {
  const word = fc.constantFrom('accounts', 'payments', 'statements', 'openid', 'a', '', ' ', '%00');
  const scope = fc.oneof(
    word,
    fc.array(word, { maxLength: 3 }).map((words) => words.join(' ')),
  );
  const resource = fc.constantFrom(
    accountsApi,
    opaqueApi,
    `${accountsApi}/`,
    `${accountsApi}#x`,
    'x',
    '',
  );
  const pair = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant('scope'), scope) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('resource'), resource) },
    fc.tuple(
      fc.constantFrom('client_id', '__proto__', 'toString', 'Scope'),
      fc.constantFrom('tpp', 'x', ''),
    ),
    fc.tuple(fc.constant('grant_type'), fc.constantFrom('client_credentials', 'refresh_token', '')),
  );
  const certificate = fc.constantFrom<Certificate>('tpp', 'tpp', 'tpp', 'other', 'expired');
  await fc.assert(
    fc.asyncProperty(fc.array(pair, { maxLength: 3 }), certificate, async (more, name) => {
      const answers = [];
      for (const extra of [[], [ignored]]) {
        const id = machines.fresh();
        const pairs: Pairs = [...plainPairs(id).slice(0, 2), ...more, ...extra];
        const answer = await machines.ask({ pairs, certificate: machines.certificates[name] });
        const audited = await auditedAs(server, answer);
        answers.push(withoutName({ ...comparable(answer), audited }, id));
      }
      expect(answers[0]).toEqual(answers[1]);
    }),
    { numRuns: 120 },
  );
});
