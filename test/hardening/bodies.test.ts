import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isCleanRefusal, issuedBy, rawForm, rawRequest, sendRaw } from '../support/attack.ts';
import type { RawExchange } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
/** Where forms are posted, each with the headers that get it as far as its body. */
let doors: Record<string, Record<string, string>>;

beforeAll(async () => {
  server = await startAuthorizationServer();
  const agent = createCustomerAgent(server);
  const parameters = { redirect_uri: callbacks.web, scope: 'accounts' };
  const { url } = await authorizationRequest(await discoverWeb(server), parameters);
  const login = await agent.open(url);
  const web = basic('web', server.secrets.web);
  doors = {
    '/token': web,
    '/introspect': basic('accounts-rs', server.secrets['accounts-rs']),
    '/revoke': web,
    '/userinfo': {},
    '/logout/confirm': {},
    [`${new URL(login.url).pathname}/login`]: {
      cookie: await agent.jar.getCookieString(login.url),
    },
  };
});

afterAll(() => server.stop());

const good = 'grant_type=client_credentials&scope=accounts&token=x';

type Change = (path: string, own: Record<string, string>) => string | Buffer;

/** Sends what `change` makes of each door, and expects a clean refusal, nothing issued, and a server that goes on. */
async function expectRefused(change: Change): Promise<Record<string, RawExchange>> {
  const exchanges: Record<string, RawExchange> = {};
  const attack = async () => {
    for (const [path, own] of Object.entries(doors)) {
      const exchange = await sendRaw(server, change(path, own));
      exchanges[path] = exchange;
      const [answer, ...more] = exchange.answers;
      expect(more, `for ${path}`).toEqual([]);
      expect(answer && isCleanRefusal(answer), `${path}: ${exchange.text.slice(0, 300)}`).toBe(
        true,
      );
    }
  };
  expect(await issuedBy(server, attack)).toBe(0);
  return exchanges;
}

function typed(type: string | undefined, body: string): Change {
  return (path, own) => {
    const length = String(Buffer.byteLength(body, 'latin1'));
    const headers = { 'Content-Length': length, ...own };
    const all = type === undefined ? headers : { ...headers, 'Content-Type': type };
    return rawRequest(server, `POST ${path}`, { headers: all, body });
  };
}

describe('A body of another type', () => {
  it.each([
    ['application/json', '{"grant_type":"client_credentials","scope":"accounts","token":"x"}'],
    ['text/plain', good],
    [
      'multipart/form-data; boundary=x',
      `--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--`,
    ],
    ['application/x-www-form-urlencoded-x', good],
    ['application/x-www-form-urlencoded/x', good],
    ['application/xml', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'],
    ['x', good],
    [';', good],
  ])('%s is refused', async (type, body) => {
    await expectRefused(typed(type, body));
  });

  it('or of none is refused', async () => {
    await expectRefused(typed(undefined, good));
  });
});

it('A body that is not there, not even by a length, is not waited for', async () => {
  await expectRefused((path, own) => {
    const headers = { ...own, 'Content-Type': 'application/x-www-form-urlencoded' };
    return rawRequest(server, `POST ${path}`, { headers });
  });
});

describe('A body that is not what it says', () => {
  it.each(['gzip', 'deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'x'])(
    'of the coding %s is not decoded',
    async (coding) => {
      const packed = coding === 'deflate' ? deflateSync(good) : gzipSync(good);
      await expectRefused((path, own) =>
        rawForm(server, path, {
          body: packed.toString('latin1'),
          headers: { ...own, 'Content-Encoding': coding },
        }),
      );
    },
  );

  it.each([
    '%',
    '%zz=1',
    'grant_type=%ff%fe',
    'grant_type=%c0%ae',
    'grant_type=client%00credentials',
    'grant_type=client_credentials%0d%0a',
    '\x00',
    '\xff\xfe\xfd',
    '{"grant_type":"client_credentials"}',
    'a'.repeat(20_000),
    `${'['.repeat(5000)}=1`,
    `a${'[a]'.repeat(2000)}=1`,
    Array.from({ length: 3000 }, (_, i) => `p${String(i)}=1`).join('&'),
    '&'.repeat(20_000),
  ])('is refused: %.40j', async (body) => {
    await expectRefused((path, own) => rawForm(server, path, { body, headers: own }));
  });
});

describe('A body that is too large', () => {
  it.each([60_000, 400_000])('with %i bytes is refused, and not held in memory', async (size) => {
    const body = `${good}&x=${'x'.repeat(size)}`;
    await expectRefused((path, own) => rawForm(server, path, { body, headers: own }));
  });

  it('in chunks without a length is refused', async () => {
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
    await expectRefused((path, own) => {
      const type = 'application/x-www-form-urlencoded';
      const headers = { ...own, 'Content-Type': type, 'Transfer-Encoding': 'chunked' };
      return rawRequest(server, `POST ${path}`, { headers, body: `${chunk.repeat(30)}0\r\n\r\n` });
    });
  });

  it.each(['99999999999999999999', '1e9', '-1', '0x10', '+5', '5 5', 'x', ''])(
    'or of the length %j is refused at once',
    async (length) => {
      await expectRefused((path, own) =>
        rawForm(server, path, { body: '', headers: { ...own, 'Content-Length': length } }),
      );
    },
  );
});

describe('Headers that are too large', () => {
  it('are refused: one, many, and a long address', async () => {
    const long = 'x'.repeat(20_000);
    await expectRefused((path, own) =>
      rawForm(server, path, { body: '', headers: { ...own, X: long } }),
    );
    await expectRefused((path, own) =>
      rawForm(server, `${path}?${long}`, { body: '', headers: own }),
    );
    const many = Array.from({ length: 2500 }, (_, i): [string, string] => [`X${String(i)}`, '']);
    await expectRefused((path, own) =>
      rawForm(server, path, { body: '', headers: { ...own, ...Object.fromEntries(many) } }),
    );
  });
});

it('A body that never comes in full gives nothing, and the server goes on', async () => {
  const attack = async () => {
    for (const [path, own] of Object.entries(doors)) {
      const headers = { ...own, 'Content-Length': '5000' };
      const bytes = rawForm(server, path, { body: good, headers });
      const { text } = await sendRaw(server, bytes, { patienceMs: 100 });
      expect(text).not.toContain('HTTP/1.1 200');
    }
  };
  expect(await issuedBy(server, attack)).toBe(0);
  const headers = basic('web', server.secrets.web);
  const body = 'grant_type=client_credentials&scope=accounts';
  const { answers } = await sendRaw(server, rawForm(server, '/token', { body, headers }));
  expect(answers.map(({ status }) => status)).toEqual([200]);
  const errors = (await server.log.lines()).filter(({ level }) => level === 'error');
  expect(errors).toEqual([]);
});
