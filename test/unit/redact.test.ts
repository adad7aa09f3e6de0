import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alreadyRedacted, redact } from '../../src/observability/redact.ts';
import { redactText } from '../../src/observability/redact-text.ts';
import { Problem } from '../../src/problem.ts';

const secret = 'S3CR3Tvalue0123456789';
const jwt =
  'eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ';

const secretKeys = [
  ...['authorization', 'Authorization', 'cookie', 'Set-Cookie', 'setCookie', 'password'],
  ...['client_secret', 'clientSecret', 'client_assertion', 'code', 'code_verifier', 'codeVerifier'],
  ...['refresh_token', 'access_token', 'accessToken', 'id_token', 'id_token_hint', 'token'],
  ...['request', 'request_uri', 'assertion', 'secret', 'csrf', 'csrfToken', 'xsrf', 'apiKey'],
  ...['newPassword', 'privateKey', 'private_key', 'registration_access_token', 'passphrase'],
];

describe('redaction by key', () => {
  it.each(secretKeys)('hides what is under %s, also deeper and in lists', (key) => {
    const text = JSON.stringify(redact({ [key]: secret, a: [{ [key]: { b: [secret] } }] }));
    expect(text).not.toContain(secret);
    expect(text).toContain(key);
  });

  it('hides the private members of a JWK, and keeps the same names elsewhere', () => {
    const jwk = { kty: 'RSA', kid: 'a', n: 'public', e: 'AQAB', d: secret, p: secret, qi: secret };
    expect(redact({ jwk, p: 'page' })).toEqual({
      jwk: { ...jwk, d: '[redacted]', p: '[redacted]', qi: '[redacted]' },
      p: 'page',
    });
  });

  it('keeps names that only resemble secrets, and whether a secret is there', () => {
    const kept = {
      requestId: '8d2f',
      token_type: 'Bearer',
      grant_type: 'authorization_code',
      state: 'active',
      kid: 'key-1',
      password: undefined,
      client_secret: null,
      token: true,
    };
    expect(redact(kept)).toEqual(kept);
  });
});

describe('redaction by shape', () => {
  it.each([
    ['a JWT', `token ${jwt} refused`, 'token [redacted] refused'],
    ['the beginning of a JWT', `cut ${jwt.slice(0, 50)}`, 'cut [redacted]'],
    ['a bearer token', 'Authorization: Bearer abcDEF123456', 'Authorization: Bearer [redacted]'],
    ['an API key', 'ck_live_AbCdEf0123456789', 'ck_live_AbCdEf[redacted]'],
    ['basic credentials', 'Basic dGVzdDp0ZXN0', 'Basic [redacted]'],
    ['short basic credentials', 'Basic YTpi', 'Basic [redacted]'],
    ['a DPoP token', 'DPoP 5tOk3n', 'DPoP [redacted]'],
    ['a database URL', 'postgres://app:p@ss/word@db:5432/x', 'postgres://app:[redacted]@db:5432/x'],
    ['a redirect', '/cb?code=abc&state=def&iss=x', '/cb?code=[redacted]&state=[redacted]&iss=x'],
    ['a fragment', 'https://a/#access_token=abc', 'https://a/#access_token=[redacted]'],
    ['a nested URL', '?to=%2Fcb%3Fcode%3Dabc%26iss%3Dx', '?to=%2Fcb%3Fcode%3D[redacted]%26iss%3Dx'],
    ['a form', 'client_id=a&client_secret=b+c', 'client_id=a&client_secret=[redacted]'],
    ['JSON', '{"client_secret": "a\\"b","x":"y"}', '{"client_secret": "[redacted]","x":"y"}'],
    [
      'a private key',
      `-----BEGIN EC PRIVATE KEY-----\n${secret}\n-----END EC PRIVATE KEY----- after`,
      '[redacted] after',
    ],
    [
      'JOSE within what is no thumbprint',
      'TWvq2jZ4jeyJPiha3DAlVwsGveopH87QLH1xyFYJIGUx TWvq2jZ4jeyJPiha3DAlVwsGveopH87QLH1xyFYJIGU.x',
      'TWvq2jZ4j[redacted] TWvq2jZ4j[redacted]',
    ],
    ['a header of that length', `${'eyJ'.padEnd(43, 'a')}.`, '[redacted]'],
    ['a cut private key', `-----BEGIN PRIVATE KEY-----\n${secret}`, '[redacted]'],
  ])('hides %s', (_, text, clean) => {
    expect(redactText(text)).toBe(clean);
  });

  it.each([
    'client_secret_basic: Basic authentication and bearer authentication are different',
    'https://auth.bank.example/.well-known/openid-configuration?iss=https://a.example',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
    'CN=abc123,OU=0015800000jfQ9aAAE,O=OpenBanking,C=GB',
    '2b1f9c0e-7c55-4c0f-9f0a-d2b6f8f2a9a1',
    'there is no key TWvq2jZ4jeyJPiha3DAlVwsGveopH87QLH1xyFYJIGU.',
  ])('keeps %s', (text) => {
    expect(redactText(text)).toBe(text);
  });

  it('cuts long text, and hides a secret that the cut runs through', () => {
    const text = redactText(`${'a'.repeat(16_350)} ${jwt}`);
    expect(text.length).toBeLessThan(16_500);
    expect(text).not.toContain('eyJ');
    expect(text).toContain('cut');
  });

  it.each([
    '://a:',
    'eyJ',
    '-----BEGIN ',
    'Basic ',
    '?code=',
    '"code":"',
    '\\',
    'a.',
    '%26code%3D',
  ])('takes time in proportion to the length of repeated "%s"', (part) => {
    const startedAt = performance.now();
    redactText(part.repeat(100_000));
    // Measured 2 ms at most; quadratic patterns take seconds here.
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('redaction of errors', () => {
  it('keeps name, message, code, stack and the chain of causes', () => {
    const inner = Object.assign(new Error(`connect postgres://a:${secret}@db/x`), {
      code: 'ECONNREFUSED',
      config: { password: secret },
    });
    const clean = redact(new Problem('server_error', { detail: 'why', cause: inner }));
    expect(clean).toMatchObject({
      name: 'Problem',
      code: 'server_error',
      detail: 'why',
      stack: expect.stringContaining('redact.test.ts') as string,
      cause: {
        name: 'Error',
        code: 'ECONNREFUSED',
        message: 'connect postgres://a:[redacted]@db/x',
      },
    });
    expect(JSON.stringify(clean)).not.toContain(secret);
  });

  it('hides an authorization code that somebody attached to an error', () => {
    const code = 'wTfkh5XbhFIpPJKnbWHs8RYNCmJtNdDkxYXN0ZUZyZ1';
    expect(JSON.stringify(redact(Object.assign(new Error('no'), { code })))).not.toContain(code);
  });

  it('shows every error of an aggregate', () => {
    const clean = redact(new AggregateError([new Error('first'), new Error('second')], 'both'));
    expect(clean).toMatchObject({ errors: [{ message: 'first' }, { message: 'second' }] });
  });
});

describe('redaction of awkward values', () => {
  it('ends cycles and keeps repeated siblings', () => {
    const shared = { a: 1 };
    const loop: Record<string, unknown> = { shared, again: shared };
    loop['self'] = loop;
    expect(redact(loop)).toEqual({ shared, again: shared, self: '[circular]' });
  });

  it('bounds depth and size', () => {
    let deep: unknown = 'end';
    for (let level = 0; level < 100_000; level += 1) deep = { deep };
    const wide = Array.from({ length: 100_000 }, () => Array.from({ length: 50 }, () => 'x'));
    const long = Array.from({ length: 90 }, () => 'y '.repeat(8000));
    expect(JSON.stringify(redact(deep)).length).toBeLessThan(500);
    expect(JSON.stringify(redact(wide)).length).toBeLessThan(20_000);
    expect(JSON.stringify(redact(long)).length).toBeLessThan(100_000);
  });

  it('survives getters and proxies that throw', () => {
    const thrower = {
      get bad(): string {
        throw new Error('no');
      },
      good: 1,
    };
    const proxy: unknown = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('no');
        },
      },
    );
    expect(redact([thrower, proxy])).toEqual([{ bad: '[unreadable]', good: 1 }, '[unreadable]']);
  });

  it('shows bytes as their number, and everything else as JSON can hold it', () => {
    expect(
      redact({
        key: Buffer.from(secret),
        at: new Date(0),
        never: new Date(NaN),
        big: 10n,
        call: () => secret,
        map: new Map([['password', secret]]),
        set: new Set([jwt]),
        url: new URL(`https://a.example/?code=${secret}`),
        ratio: Infinity,
      }),
    ).toEqual({
      key: `[${String(secret.length)} bytes]`,
      at: '1970-01-01T00:00:00.000Z',
      never: 'Invalid Date',
      big: '10',
      call: '[function]',
      map: { password: '[redacted]' },
      set: ['[redacted]'],
      url: 'https://a.example/?code=[redacted]',
      ratio: 'Infinity',
    });
  });

  it('keeps a member called __proto__ a member', () => {
    const clean = redact(JSON.parse('{"__proto__": {"polluted": true}}')) as object;
    expect(Object.getPrototypeOf(clean)).toBe(Object.prototype);
    expect(Object.keys(clean)).toEqual(['__proto__']);
  });
});

describe('redaction of anything', () => {
  it('takes over what was redacted before, which nobody but our own code can claim', () => {
    const before = redact({ password: secret, scope: 'accounts' });
    expect(redact({ events: alreadyRedacted([before]) })).toEqual({ events: [before] });
    const claimed = JSON.parse(JSON.stringify({ clean: { password: secret } })) as unknown;
    expect(redact(claimed)).toEqual({ clean: { password: '[redacted]' } });
    expect(redact({ [Symbol('clean')]: { password: secret } })).toEqual({});
  });

  it('never throws and gives back what JSON can hold', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true }), (value) => {
        const clean = redact(value);
        expect(JSON.stringify(redact(clean))).toBe(JSON.stringify(clean));
      }),
    );
  });

  it('lets no secret through, wherever it is', () => {
    const planted = fc.oneof(
      fc.constantFrom(...secretKeys).map((key) => ({ [key]: secret })),
      fc.constantFrom(
        `Bearer ${secret}`,
        `https://a.example/cb?x=y&code=${secret}#z`,
        `postgresql://user:${secret}@localhost/db`,
        `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`,
        `{"password":"${secret}"}`,
        `eyJhbGciOiJub25lIn0.${secret}.${secret}`,
      ),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        planted,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('tree'), { maxKeys: 4 }),
        tie('tree').map((cause) => new Error('outer', { cause })),
        fc
          .tuple(fc.string(), planted)
          .map(([before, value]) => (typeof value === 'string' ? `${before} ${value}` : value)),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        expect(JSON.stringify(redact(value))).not.toContain(secret);
      }),
    );
  });
});
