import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isCleanRefusal, issuedBy, rawForm, rawRequest, sendRaw } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { authorize, callbacks, discoverWeb, postForm } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };
const asWeb = () => basic('web', server.secrets.web);

async function pairs(): Promise<[string, string][]> {
  return [...new URL((await authorizationRequest(web, forWeb)).url).searchParams];
}

describe('A parameter that is said twice', () => {
  it('at the authorization endpoint is refused, whichever it is', async () => {
    const attack = async () => {
      const all = await pairs();
      for (const [name, value] of all.filter(([key]) => key !== 'resource')) {
        for (const twin of [value, 'x', '']) {
          const query = new URLSearchParams([...all, [name, twin]]).toString();
          const page = await createCustomerAgent(server).open(
            `${server.issuer}/authorize?${query}`,
          );
          const answer = new URL(page.url.replace('#', '?')).searchParams;
          const isRefused = page.status === 400 || answer.get('error') === 'invalid_request';
          expect(isRefused, `${name}=${twin}: ${page.url}`).toBe(true);
          const isUnsafe = name === 'redirect_uri' || name === 'client_id';
          expect(page.status).toBe(isUnsafe ? 400 : page.status);
        }
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it.each(['grant_type', 'code', 'redirect_uri', 'code_verifier', 'client_id'])(
    'at the token endpoint is refused: %s',
    async (name) => {
      const { code, codeVerifier } = await authorize(server, web, { parameters: forWeb });
      const all: [string, string][] = [
        ['grant_type', 'authorization_code'],
        ['code', code],
        ['redirect_uri', callbacks.web],
        ['code_verifier', codeVerifier],
        ['client_id', 'web'],
      ];
      const value = all.find(([key]) => key === name)?.[1] ?? '';
      const attack = async () => {
        for (const twin of [value, 'x']) {
          const twice: [string, string] = [name, twin];
          const credentials = ['web', server.secrets.web] as const;
          for (const parameters of [
            [...all, twice],
            [twice, ...all],
          ] as [string, string][][]) {
            const answer = await postForm(server, '/token', { parameters, basic: credentials });
            expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
          }
        }
      };
      expect(await issuedBy(server, attack)).toBe(0);
    },
  );

  it('is refused where it says what a machine may do', async () => {
    const attack = async () => {
      for (const scopes of [
        ['accounts', 'payments'],
        ['accounts', 'accounts'],
      ] as const) {
        const twice = scopes.map((scope): [string, string] => ['scope', scope]);
        const parameters: [string, string][] = [['grant_type', 'client_credentials'], ...twice];
        const own = { parameters, basic: ['web', server.secrets.web] as const };
        const { status, body } = await postForm(server, '/token', own);
        expect([status, body['error']]).toEqual([400, 'invalid_request']);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('once in the query and once in the body counts from the body only', async () => {
    const attack = async () => {
      const body = 'grant_type=authorization_code&code=x&redirect_uri=x&code_verifier=x';
      const query = '/token?grant_type=client_credentials&scope=accounts';
      const { answers } = await sendRaw(server, rawForm(server, query, { body, headers: asWeb() }));
      expect(answers[0]?.status).toBe(400);
      expect(answers[0]?.body).toContain('invalid_grant');
      const empty = rawForm(server, query, { body: '', headers: asWeb() });
      expect((await sendRaw(server, empty)).answers[0]?.status).toBe(400);
      const secret = `client_id=web&client_secret=${server.secrets.web}`;
      const inQuery = rawForm(server, `/token?${secret}`, {
        body: 'grant_type=client_credentials',
      });
      expect((await sendRaw(server, inQuery)).answers[0]?.status).toBe(400);
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it.each(['token', 'token_type_hint', 'client_id', 'client_secret'])(
    'at introspection and revocation is refused: %s',
    async (name) => {
      for (const path of ['/introspect', '/revoke']) {
        const parameters: [string, string][] = [
          ['token', 'x'],
          ['client_id', 'accounts-rs'],
          ['client_secret', server.secrets['accounts-rs']],
          [name, 'x'],
          [name, 'y'],
        ];
        const { status, body } = await postForm(server, path, { parameters });
        expect([status, body['error']]).toEqual([400, 'invalid_request']);
      }
    },
  );
});

describe('Credentials that are given twice', () => {
  const asApi = () => basic('accounts-rs', server.secrets['accounts-rs']).authorization;
  const pushed = new URLSearchParams({
    ...{ ...forWeb, client_id: 'web', response_type: 'code', nonce: 'n', state: 's' },
    ...{ code_challenge: 'A'.repeat(43), code_challenge_method: 'S256' },
  }).toString();
  const cases = (): [string, string, string, number][] => [
    ['/token', asWeb().authorization, 'grant_type=client_credentials&scope=accounts', 200],
    ['/introspect', asApi(), 'token=x', 200],
    ['/revoke', asWeb().authorization, 'token=x', 200],
    ['/par', asWeb().authorization, pushed, 201],
    ['/userinfo', 'Bearer x', '', 401],
    ['/grants/x', 'Bearer x', '', 401],
  ];

  it.each(['/token', '/introspect', '/revoke', '/par', '/userinfo', '/grants/x'])(
    'are refused at %s, also where the first are right',
    async (path) => {
      const [, first = '', body = '', alone = 0] = cases().find(([one]) => one === path) ?? [];
      const ask = async (headers: Record<string, string>) => {
        const bytes =
          body === ''
            ? rawRequest(server, `GET ${path}`, { headers })
            : rawForm(server, path, { body, headers });
        return (await sendRaw(server, bytes)).answers[0];
      };
      const single = await ask({ Authorization: first });
      expect(single?.status).toBe(alone);
      expect(single?.body).not.toContain('several');
      for (const second of [first, 'Bearer y']) {
        const attack = async () => {
          const answer = await ask({ Authorization: first, authorization: second });
          const { error } = JSON.parse(answer?.body ?? '{}') as { error?: string };
          expect([answer?.status, error]).toEqual([400, 'invalid_request']);
        };
        expect(await issuedBy(server, attack)).toBe(0);
      }
      expect(await server.log.raw()).toContain('several Authorization headers');
    },
  );
});

const polluted = [
  '__proto__=x',
  '__proto__[scope]=admin',
  '__proto__.scope=admin',
  'constructor=x',
  'constructor[prototype][scope]=admin',
  'prototype=x',
  'hasOwnProperty=x',
  'toString=x',
  'valueOf=x',
  'scope[]=admin',
  'scope[0]=admin',
  'scope.0=admin',
  'client_id[]=tpp',
  'client_id[$ne]=x',
  'then=x',
  '=x',
  '&&&=&=&',
];

describe('Names that mean something to JavaScript', () => {
  it('change nothing at the token endpoint', async () => {
    for (const extra of polluted) {
      const body = `grant_type=client_credentials&scope=accounts&${extra}`;
      const { answers } = await sendRaw(
        server,
        rawForm(server, '/token', { body, headers: asWeb() }),
      );
      const [answer] = answers;
      expect([200, 400], `for ${extra}`).toContain(answer?.status);
      expect(answer?.body).not.toContain('admin');
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)['scope']).toBeUndefined();
  });

  it('change nothing at the authorization endpoint and the pages', async () => {
    const attack = async () => {
      for (const extra of polluted) {
        const query = new URLSearchParams(await pairs()).toString();
        for (const line of [`GET /authorize?${query}&${extra}`, `GET /logout?${extra}`]) {
          const { answers } = await sendRaw(server, rawRequest(server, line));
          expect([200, 303, 400], `for ${line}`).toContain(answers[0]?.status);
          expect(answers[0]?.body).not.toContain('admin');
        }
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
    expect(({} as Record<string, unknown>)['scope']).toBeUndefined();
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'then'])(
    'are no client, scope, resource, grant type or interaction: %s',
    async (name) => {
      const attack = async () => {
        const own = { basic: ['web', server.secrets.web] as const };
        const forms: Record<string, string>[] = [
          { grant_type: name },
          { grant_type: 'client_credentials', scope: name },
          { grant_type: 'client_credentials', resource: name },
          { grant_type: 'client_credentials', resource: `https://accounts.example.com/${name}` },
        ];
        for (const parameters of forms) {
          const answer = await postForm(server, '/token', { parameters, ...own });
          expect(answer.status, `for ${JSON.stringify(parameters)}`).toBe(400);
        }
        const stranger = { parameters: { grant_type: 'client_credentials', client_id: name } };
        expect((await postForm(server, '/token', stranger)).body['error']).toBe('invalid_client');
        const agent = createCustomerAgent(server);
        for (const path of [`/interaction/${name}`, `/authorize/${name}`, `/assets/${name}`]) {
          const { status, html } = await agent.open(server.issuer + path);
          expect(isCleanRefusal({ status, body: html }), `${path} ${String(status)}`).toBe(true);
        }
        const all = (await pairs()).filter(([key]) => !['response_mode', 'prompt'].includes(key));
        for (const extra of ['response_mode', 'prompt', 'claims', 'acr_values', 'max_age']) {
          const query = new URLSearchParams([...all, [extra, name]]).toString();
          const page = await agent.open(`${server.issuer}/authorize?${query}`);
          expect(page.status).toBeLessThan(500);
          expect(new URL(page.url).searchParams.get('code')).toBeNull();
        }
      };
      expect(await issuedBy(server, attack)).toBe(0);
    },
  );

  it('are no members of the claims parameter that count', async () => {
    const claims = [
      '{"__proto__":{"id_token":{"email":null}}}',
      '{"id_token":{"__proto__":{"essential":true},"constructor":null}}',
      '{"userinfo":{"toString":null,"hasOwnProperty":{"value":"x"}}}',
      '{"id_token":[],"userinfo":"x"}',
      '{"id_token":null,"userinfo":null}',
      '[]',
      'null',
      '0',
      '"x"',
      `${'{"id_token":'.repeat(500)}null${'}'.repeat(500)}`,
    ];
    for (const value of claims) {
      const query = new URLSearchParams([...(await pairs()), ['claims', value]]).toString();
      const page = await createCustomerAgent(server).open(`${server.issuer}/authorize?${query}`);
      const error = new URL(page.url).searchParams.get('error');
      expect([null, 'invalid_request'], `for ${value.slice(0, 80)}`).toContain(error);
      expect(page.status).toBeLessThan(500);
    }
  });
});
