import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy, rawForm, rawRequest, sendRaw } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
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
const breaks = [
  '%0d%0aX-Injected:%201',
  '%0aX-Injected:%201',
  '%0dX-Injected:%201',
  '%0d%0a%0d%0a<script>1</script>',
  '%E5%98%8A%E5%98%8DX-Injected:%201',
  '%c0%8dX-Injected:%201',
  '%00%0d%0aX-Injected:%201',
  '%c4%8d%c4%8aX-Injected:%201',
  '"; X-Injected="1',
];

function expectWhole(text: string): void {
  const head = text.slice(0, text.indexOf('\r\n\r\n'));
  const lines = head.split('\r\n').slice(1);
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) {
    expect(line).toMatch(/^[\w-]+: [\x20-\x7e]*$/);
    expect(line).not.toMatch(/^X-Injected/i);
  }
  expect(text.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
}

const reflecting = [
  'state',
  'nonce',
  'redirect_uri',
  'client_id',
  'scope',
  'ui_locales',
  'login_hint',
  'response_mode',
  'prompt',
  'resource',
  'acr_values',
  'claims',
  'max_age',
  'iss',
];

describe('A line break ends no header line', () => {
  it.each(reflecting)('in the parameter %s', async (name) => {
    const all = [...new URL((await authorizationRequest(web, forWeb)).url).searchParams];
    const rest = new URLSearchParams(all.filter(([key]) => key !== name)).toString();
    for (const value of breaks) {
      const value_ = value.replaceAll(' ', '%20');
      for (const query of [`${rest}&${name}=${value_}`, `${rest}&prompt=none&${name}=${value_}`]) {
        const { text } = await sendRaw(server, rawRequest(server, `GET /authorize?${query}`));
        expectWhole(text);
      }
    }
  });

  it('in the state, to the end of the journey', async () => {
    const state = 'x\r\nX-Injected: 1\r\n\r\n\u560a\u560d"';
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, { ...forWeb, state });
    const callback = await agent.authorize(url);
    expect(callback.searchParams.get('state')).toBe(state);
    expect(callback.href).not.toMatch(/[\r\n]/);
  });

  it.each(['/logout', '/logout/success', '/nowhere', '/interaction', '/assets', '/userinfo'])(
    'in the address and query of %s',
    async (path) => {
      for (const value of breaks.map((text) => text.replaceAll(' ', '%20'))) {
        for (const target of [
          `${path}/${value}`,
          `${path}?state=${value}&client_id=${value}&post_logout_redirect_uri=${value}`,
        ]) {
          expectWhole((await sendRaw(server, rawRequest(server, `GET ${target}`))).text);
        }
      }
    },
  );

  it('in a form at the token endpoint, whose errors come back in a header too', async () => {
    const attack = async () => {
      for (const value of breaks) {
        for (const name of ['grant_type', 'scope', 'resource', 'client_id', 'code', 'token']) {
          const grant = name === 'grant_type' ? '' : '&grant_type=client_credentials';
          const body = `${name}=${value}${grant}`;
          for (const path of ['/token', '/introspect', '/revoke', '/userinfo']) {
            const headers = basic('web', 'wrong\r\nX-Injected: 1');
            expectWhole((await sendRaw(server, rawForm(server, path, { body, headers }))).text);
          }
        }
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('in request headers that come back, or might', async () => {
    const uuid = '01234567-89ab-4cde-8f01-23456789abcd';
    for (const value of [`${uuid}\tX`, `${uuid}%0d%0aX-Injected: 1`, `${uuid}"`, 'x\x0b', '\x7f']) {
      const headers = {
        'X-Fapi-Interaction-Id': value,
        'X-Request-Id': value,
        Cookie: `__Host-language=${value}`,
        'Accept-Language': value,
        Authorization: `Bearer ${value}`,
      };
      for (const path of ['/userinfo', '/jwks', '/nowhere']) {
        const { text } = await sendRaw(server, rawRequest(server, `GET ${path}`, { headers }));
        expect(text.toLowerCase()).not.toContain('\r\nx-injected');
        expect(text).not.toContain(value);
      }
    }
  });
});

it('A line break begins no log line', async () => {
  const forged = '%0d%0a{"level":"error","message":"forged"}';
  const query = `client_id=${forged}&state=${forged}&scope=${forged}`;
  await sendRaw(server, rawRequest(server, `GET /authorize${forged}?${query}`));
  await sendRaw(server, rawRequest(server, `GET /authorize?${query}`));
  const body = `grant_type=${forged}&client_id=web`;
  await sendRaw(server, rawForm(server, '/token', { body }));
  const lines = await server.log.lines();
  expect(lines.some(({ message }) => message === 'forged')).toBe(false);
});
