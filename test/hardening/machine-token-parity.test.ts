import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawForm, rawRequest, sendRaw } from '../support/attack.ts';
import {
  auditedAs,
  comparable,
  ignored,
  issuedByEngine,
  plainPairs,
  startMachineServer,
  lineOf,
  oddApi,
  unsignedApi,
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
    ['a resource whose algorithm no key signs', (id) => of(id, 'read', unsignedApi), 500],
    ['a scope that reads like a consent', (id) => of(id, 'consent:all', oddApi), 200],
    ['an empty resource', (id) => withResources(id, ['']), 200],
    [
      'another grant',
      (id) => ({ pairs: [['grant_type', 'password'], ...plainPairs(id).slice(1)] }),
      400,
    ],
    [
      'an attestation',
      (id) => ({ pairs: plainPairs(id), headers: { 'oauth-client-attestation': 'x' } }),
      400,
    ],
    [
      'the proof of an attestation',
      (id) => ({ pairs: plainPairs(id), headers: { 'oauth-client-attestation-pop': 'x' } }),
      400,
    ],
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
    [
      'a certificate of another authority',
      (id) => ({ pairs: plainPairs(id), certificate: machines.certificates.foreign }),
      401,
    ],
    [
      'an expired certificate',
      (id) => ({ pairs: plainPairs(id), certificate: machines.certificates.expired }),
      401,
    ],
  ])('%s', async (_what, request, status) => {
    const id = machines.fresh();
    let answer: Answer | undefined;
    const issued = await issuedByEngine(id, async () => {
      answer = await machines.ask(request(id));
    });
    expect([answer?.status, issued]).toEqual([status, status === 200 ? 1 : 0]);
    const { route } = await lineOf(server, answer?.headers.get('x-request-id'));
    expect(route).toBe('token');
  });

  function of(id: string, scope: string, resource: string): Request {
    return { pairs: [...rest(id), ['scope', scope], ['resource', resource]] };
  }

  function withResources(id: string, resources: string[]): Request {
    return {
      pairs: [...plainPairs(id), ...resources.map((one) => ['resource', one] as [string, string])],
    };
  }

  it.each([
    'code',
    'proved',
    'proved-twice',
    'unfit',
    'nobody',
    'web',
    'app',
    'accounts-rs',
    '__proto__',
  ])('the client "%s"', async (id) => {
    const issued = await issuedByEngine(id, async () => {
      const { status, headers } = await machines.ask({ pairs: plainPairs(id) });
      expect([400, 401]).toContain(status);
      const { route } = await lineOf(server, headers.get('x-request-id'));
      expect(route).toBe('token');
    });
    expect(issued).toBe(0);
  });

  it('no certificate, which the connection has none of', async () => {
    const form = plainPairs(machines.fresh());
    const { status, body } = await post(server.fetch(), `${server.issuer}/token`, { form });
    expect([status, body['error']]).toEqual([401, 'invalid_client']);
  });
});

describe('However a request is written, it gets the same answer with a parameter that is ignored', () => {
  const formType = 'application/x-www-form-urlencoded';
  const typed = (type: string): Written => ({ headers: { 'Content-Type': type } });
  const said = (edit: (body: string) => string): Written => ({ edit });
  it.each<[string, Written, number]>([
    ['PUT', { method: 'PUT' }, 405],
    ['GET', { method: 'GET' }, 405],
    ['with a query', { path: '/token?client_id=tpp' }, 200],
    ['with an empty query', { path: '/token?' }, 200],
    ['with a fragment', { path: '/token#x' }, 400],
    ['with capitals', { path: '/Token' }, 404],
    ['with an escape', { path: '/%74oken' }, 404],
    ['with two slashes', { path: '//token' }, 404],
    ['for another host', { headers: { Host: 'evil.example.com' } }, 421],
    ['by HTTP/1.0', { version: 'HTTP/1.0' }, 200],
    ['in chunks', { isChunked: true }, 200],
    ['with chunks announced', { headers: { 'Transfer-Encoding': 'chunked' } }, 400],
    ['with two lengths', { headers: { 'Content-length': '5' } }, 400],
    ['with another expectation', { headers: { Expect: 'everything' } }, 417],
    ['with the name of a coding', { headers: { 'Content-Encoding': 'gzip' } }, 200],
    ['as JSON', typed('application/json'), 400],
    ['without a type', typed(''), 400],
    ['in capitals', typed(formType.toUpperCase()), 200],
    ['as UTF-8', typed(`${formType}; CHARSET=UTF-8`), 200],
    ['as UTF-16', typed(`${formType}; charset=utf-16`), 200],
    ['with a byte order mark', said((body) => `\u00ef\u00bb\u00bf${body}`), 400],
    ['with a broken letter', said((body) => `${body}%ff`), 400],
    ['with a lone percent', said((body) => `${body}%`), 400],
    ['with a line end', said((body) => `${body}\r\n`), 400],
    ['with a NUL', said((body) => `${body}%00`), 400],
    ['with an escaped name', said((body) => body.replace('scope', 'sc%6fpe')), 200],
    ['with a plus', said((body) => `${body}+payments`), 200],
    ['with a plus at the end', said((body) => `${body}+`), 400],
    ['with a tab', said((body) => `${body}%09payments`), 400],
    ['with semicolons', said((body) => body.replaceAll('&', ';')), 400],
    ['with empty parts', said((body) => `&&${body}&&`), 200],
    ['with more parts than are read', said((body) => `${'&='.repeat(700)}${body}`), 400],
    ['with a long tail', said((body) => `${body}${'&'.repeat(3000)}`), 200],
    ['with a list', said((body) => `${body}&scope[]=payments`), 200],
    ['with a client in capitals', said((body) => body.replace('free', 'FREE')), 401],
    ['with a space after the client', said((body) => body.replace('&scope', '+&scope')), 401],
    ['with a tab after the resource', said((body) => `${body}&resource=${accountsApi}%09`), 400],
    ['for the grants', said((body) => `${body}&resource=${server.issuer}/grants`), 400],
  ])('%s', async (_how, how, status) => {
    const seen = [];
    for (const extra of ['', `&${ignored.join('=')}`]) {
      const id = machines.fresh();
      seen.push(withoutName(await outcome(id, how, extra), id));
    }
    expect(seen[0]).toMatchObject({ status });
    expect(seen[0]).toEqual(seen[1]);
  });

  interface Written {
    method?: string;
    path?: string;
    version?: string;
    headers?: Record<string, string>;
    isChunked?: boolean;
    /** Of the body as latin1. */
    edit?: (body: string) => string;
  }

  async function outcome(id: string, how: Written, extra: string) {
    const tls = { cert: server.tpp.certificatePem, key: server.tpp.privateKeyPem };
    const { answers } = await sendRaw(server, bytesOf(id, how, extra), { listener: 'mtls', tls });
    const [answer] = answers;
    expect(answers).toHaveLength(1);
    const { status = 0, headers = {}, body = '' } = answer ?? {};
    const isOurs = headers['x-request-id'] !== undefined;
    const {
      error,
      error_description: words,
      scope,
    } = JSON.parse(isOurs ? body : '{}') as Record<string, unknown>;
    const line = isOurs ? await lineOf(server, headers['x-request-id']) : undefined;
    return { status, error, words, scope, line };
  }

  function bytesOf(id: string, how: Written, extra: string): string {
    const { method = 'POST', path = '/token', version = 'HTTP/1.1', edit } = how;
    const plain = new URLSearchParams(plainPairs(id)).toString();
    const body = (edit?.(plain) ?? plain) + extra;
    const headers = { Host: new URL(server.mtlsOrigin).host, ...how.headers };
    const chunks = { 'Content-Type': formType, 'Transfer-Encoding': 'chunked', ...headers };
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const bytes =
      how.isChunked === true
        ? rawRequest(server, `POST ${path}`, { headers: chunks, body: chunked })
        : rawForm(server, path, { body, headers });
    return bytes.replace('POST', method).replace('HTTP/1.1', version);
  }
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
  const certificate = fc.constantFrom<Certificate>(
    'tpp',
    'tpp',
    'tpp',
    'other',
    'foreign',
    'expired',
  );
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
