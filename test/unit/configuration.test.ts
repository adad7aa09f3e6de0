import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../src/config/load.ts';
import type { Environment } from '../../src/config/load.ts';
import { settings } from '../../src/config/schema.ts';
import { parseStaticConfiguration, readStaticConfiguration } from '../../src/config/static-file.ts';
import { Problem } from '../../src/problem.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;

beforeAll(async () => {
  directory = await temporaryDirectory();
});

afterAll(() => directory.remove());

function problemsOf(environment: Environment): readonly string[] {
  const loaded = loadConfiguration(environment);
  return loaded.ok ? [] : loaded.problems;
}

function valuesOf(environment: Environment) {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new Error(loaded.problems.join());
  return loaded.configuration;
}

describe('A configuration', () => {
  it('is complete and frozen without any variable', () => {
    const configuration = valuesOf({ PATH: '/bin' });
    expect(Object.keys(configuration).sort()).toEqual(Object.keys(settings).sort());
    expect(configuration).toMatchObject({
      environment: 'development',
      issuer: 'https://localhost:3443',
      authorizationCodeTtlSeconds: 60,
    });
    expect(Object.isFrozen(configuration)).toBe(true);
  });

  it('takes a value from a file, without its last line end only', async () => {
    const file = path.join(directory.path, 'name');
    for (const [content, value] of [
      ['Bank', 'Bank'],
      ['Bank\n', 'Bank'],
      ['Bank\r\n', 'Bank'],
      [' Bank \n\n', ' Bank \n'],
    ] as const) {
      await writeFile(file, content);
      expect(valuesOf({ COUNTERSIGN_BRAND_NAME_FILE: file }).brandName).toBe(value);
    }
  });

  it('names every problem at once and says what can be read', () => {
    const environment = {
      COUNTERSIGN_PORT: '-1',
      COUNTERSIGN_TYPO: 'x',
      COUNTERSIGN_ISSUER: 'https://a.test',
      COUNTERSIGN_LOG_LEVEL: 'loud',
    };
    const loaded = loadConfiguration(environment);
    expect(loaded).toMatchObject({ ok: false, readable: { issuer: 'https://a.test', port: 3443 } });
    expect(problemsOf(environment)).toHaveLength(3);
  });

  it('never repeats a secret in a problem', () => {
    const secret = randomBytes(31).toString('base64url');
    const problems = problemsOf({
      COUNTERSIGN_COOKIE_KEYS: secret,
      COUNTERSIGN_DIGEST_KEY: secret,
    });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain(secret);
  });

  it('takes whole numbers within their bounds and nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10, max: 100 }), (seconds) => {
        const text = String(seconds);
        const accepted = problemsOf({ COUNTERSIGN_AUTHORIZATION_CODE_TTL: text }).length === 0;
        expect(accepted).toBe(seconds >= 10 && seconds <= 60);
      }),
    );
    for (const text of ['', ' 30', '30 ', '3e1', '0x1e', '30.0', '+30', '٣٠']) {
      expect(problemsOf({ COUNTERSIGN_AUTHORIZATION_CODE_TTL: text })).toHaveLength(1);
    }
  });

  it('follows another port with the issuer, unless that is set itself', () => {
    const at = (environment: Record<string, string>) => {
      const loaded = loadConfiguration(environment);
      if (!loaded.ok) throw new Error(loaded.problems.join());
      return [loaded.configuration.issuer, loaded.configuration.mtlsOrigin];
    };
    const ports = { COUNTERSIGN_PORT: '4443', COUNTERSIGN_MTLS_PORT: '4444' };
    expect(at(ports)).toEqual(['https://localhost:4443', 'https://localhost:4444']);
    const issuer = { COUNTERSIGN_ISSUER: 'https://auth.bank.example' };
    expect(at({ ...ports, ...issuer })).toEqual([
      issuer.COUNTERSIGN_ISSUER,
      'https://localhost:4444',
    ]);
  });

  it('takes origins exactly', () => {
    fc.assert(
      fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), (url) => {
        const accepted = problemsOf({ COUNTERSIGN_ISSUER: url }).length === 0;
        expect(accepted).toBe(new URL(url).origin === url);
      }),
    );
    for (const url of ['https://a.test:443', 'https://A.test', 'a.test', 'https://u@a.test', '']) {
      expect(problemsOf({ COUNTERSIGN_ISSUER: url })).toHaveLength(1);
    }
  });

  it('takes one salt, and no list', () => {
    const [one, two] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64url'));
    const variable = 'COUNTERSIGN_PAIRWISE_SALT';
    expect(problemsOf({ [variable]: String(one) })).toEqual([]);
    expect(problemsOf({ [variable]: `${String(one)},${String(two)}` })).toEqual([
      expect.stringContaining(`${variable} must be exactly one key`),
    ]);
  });

  it('takes keys of 32 bytes only, several with commas', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 30, maxLength: 34 }), { minLength: 1 }),
        (keys) => {
          const text = keys.map((key) => Buffer.from(key).toString('base64url')).join(', ');
          const accepted = problemsOf({ COUNTERSIGN_COOKIE_KEYS: text }).length === 0;
          expect(accepted).toBe(keys.every((key) => key.length === 32));
        },
      ),
    );
  });

  it('is for production when NODE_ENV says so, unless our own variable says otherwise', () => {
    expect(valuesOf({ NODE_ENV: 'production' }).environment).toBe('production');
    expect(valuesOf({ NODE_ENV: 'test' }).environment).toBe('development');
    const own = { NODE_ENV: 'production', COUNTERSIGN_ENV: 'development' };
    expect(valuesOf(own).environment).toBe('development');
  });
});

describe('The static file', () => {
  it('names every fault at once', () => {
    const value = {
      resourceServers: [{ identifier: 'x', name: '', scopes: {} }],
      clients: [{ metadata: {} }],
      other: 1,
    };
    const parse = () => parseStaticConfiguration(value, 'static.json');
    expect(parse).toThrow(/static.json: .*resourceServers.0.identifier.*clients.0.metadata/);
    expect(parse).toThrow(/other/);
  });

  it('takes only scopes that RFC 6749 knows', () => {
    const accepts = (scope: string) => {
      const server = { identifier: 'https://a.test', name: 'A', scopes: { [scope]: { en: 'x' } } };
      try {
        parseStaticConfiguration({ resourceServers: [server] }, 'x');
        return true;
      } catch (error) {
        if (error instanceof Problem) return false;
        throw error;
      }
    };
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }), (scope) => {
        fc.pre(scope !== '__proto__');
        expect(accepts(scope)).toBe(/^[\x21\x23-\x5B\x5D-\x7E]+$/.test(scope));
      }),
    );
  });

  it('must be there and be JSON', async () => {
    const missing = path.join(directory.path, 'missing.json');
    const problem = (detail: string) =>
      expect.objectContaining({ code: 'configuration_invalid', detail }) as Error;
    expect(() => readStaticConfiguration(missing)).toThrow(problem(`${missing} is not there`));
    const broken = path.join(directory.path, 'broken.json');
    await writeFile(broken, '{');
    expect(() => readStaticConfiguration(broken)).toThrow(problem(`${broken} is no JSON`));
    expect(() => readStaticConfiguration(directory.path)).toThrow(
      problem(`${directory.path} can't be read`),
    );
  });
});
