import { beforeAll, describe, expect, it } from 'vitest';
import { examineFromOutside } from '../../src/cli/doctor-outside.ts';
import type { Finding } from '../../src/cli/doctor-checks.ts';
import { systemClock } from '../../src/clock.ts';
import { issueClientCertificate } from '../../src/development/certificate-authority.ts';
import { Problem } from '../../src/problem.ts';
import type { OutboundFetch } from '../../src/security/outbound-fetch.ts';

const issuer = 'https://bank.example';
const mtlsOrigin = 'https://mtls.bank.example';
const both = {
  issuer,
  token_endpoint: `${issuer}/token`,
  mtls_endpoint_aliases: { token_endpoint: `${mtlsOrigin}/token` },
};
const discovery = `${issuer}/.well-known/openid-configuration`;
const refused = () => Response.json({ error: 'invalid_client' }, { status: 401 });

interface Server {
  metadata?: object;
  /** What it answers to token requests; `asked` is how many there were before. */
  answer?: (url: string, headers: Headers, asked: number) => Response;
  withOwn?: OutboundFetch;
  signal?: AbortSignal;
}

let certificate: string;

beforeAll(async () => {
  const issued = await issueClientCertificate(undefined, { subject: 'CN=x', clock: systemClock });
  certificate = issued.certificatePem;
});

/** Examines a server, and tells which addresses were asked. */
async function examine(server: Server): Promise<{ findings: Finding[]; asked: Set<string> }> {
  const { metadata = both, answer = refused, signal = new AbortController().signal } = server;
  const urls: string[] = [];
  const without: OutboundFetch = (url, options = {}) => {
    if (options.signal?.aborted === true) return Promise.reject(unreachable('given up'));
    const address = String(url);
    if (address === discovery) return Promise.resolve(Response.json(metadata));
    urls.push(address);
    return Promise.resolve(new Headers(options.headers)).then((headers) =>
      answer(address, headers, urls.length - 1),
    );
  };
  const findings = await examineFromOutside(
    { issuer, mtlsOrigin },
    {
      client: { id: 'tpp', certificate },
      appearances: { without, withOwn: server.withOwn ?? without, signal },
      clock: systemClock,
    },
  );
  return { findings, asked: new Set(urls) };
}

const unreachable = (detail: string) => new Problem('outbound_refused', { detail });
const failures = (findings: Finding[]) => findings.filter(({ status }) => status === 'failed');
const checks = (findings: Finding[]) => findings.map(({ check, status }) => `${check} ${status}`);

describe('The doctor, outside,', () => {
  it('looks at both addresses', async () => {
    const { findings } = await examine({});
    expect(failures(findings)).toEqual([]);
    expect(checks(findings).slice(-2)).toEqual([
      `spoofing ${issuer}/token ok`,
      `spoofing ${mtlsOrigin}/token ok`,
    ]);
  });

  it.each([
    ['a page', () => new Response('<h1>Please log in</h1>', { status: 401 })],
    ['nothing', () => new Response(null, { status: 401 })],
    ['another error', () => Response.json({ error: 'unauthorized' }, { status: 401 })],
    [
      'an error that is no text',
      () => Response.json({ error: ['invalid_client'] }, { status: 401 }),
    ],
    ['a list', () => Response.json(['invalid_client'], { status: 401 })],
    ['the words alone', () => Response.json('invalid_client', { status: 401 })],
    ['null', () => Response.json(null, { status: 401 })],
    ['another status', () => Response.json({ error: 'invalid_client' }, { status: 400 })],
  ])('takes %s for no refusal of a client', async (_what, answer) => {
    const { findings } = await examine({ answer });
    expect(failures(findings)).toHaveLength(2);
    const [first] = failures(findings);
    expect(first?.detail).toContain('where 401 invalid_client is expected');
  });

  it('shows how the answer begins', async () => {
    const answer = () => new Response(`Please log in${'.'.repeat(10_000)}`, { status: 401 });
    const [first] = failures((await examine({ answer })).findings);
    expect(first?.detail).toContain('the answer is 401 no JSON');
    expect(first?.detail).toContain('"Please log in...');
  });

  it('looks at an address that the metadata leave out', async () => {
    const { mtls_endpoint_aliases: _, ...metadata } = both;
    const answer: Server['answer'] = (url, headers) =>
      url.startsWith(mtlsOrigin) && headers.has('client-cert') ? Response.json({}) : refused();
    const { findings } = await examine({ metadata, answer });
    expect(findings).toContainEqual({
      check: 'discovery',
      status: 'warning',
      detail: `the metadata name no token endpoint at ${mtlsOrigin}: /token is examined`,
    });
    expect(failures(findings)[0]).toMatchObject({ check: `spoofing ${mtlsOrigin}/token` });
  });

  it('says that nothing is at an address that the metadata leave out', async () => {
    const metadata = { ...both, mtls_endpoint_aliases: undefined };
    const answer: Server['answer'] = (url) =>
      url.startsWith(mtlsOrigin) ? new Response('', { status: 404 }) : refused();
    const { findings } = await examine({ metadata, answer });
    expect(failures(findings)).toMatchObject([
      { detail: expect.stringContaining('the answer is 404 no JSON') as string },
    ]);
  });

  it.each([
    ['the endpoint', { ...both, token_endpoint: 'https://else.example/token' }],
    ['the alias', { ...both, mtls_endpoint_aliases: { token_endpoint: 'https://else.example/' } }],
    ['the scheme', { ...both, token_endpoint: 'http://bank.example/token' }],
    ['the port', { ...both, token_endpoint: `${issuer}:8443/token` }],
  ])('sends nothing elsewhere, when %s is foreign', async (_what, metadata) => {
    const { findings, asked } = await examine({ metadata });
    expect([...asked].toSorted()).toEqual([`${issuer}/token`, `${mtlsOrigin}/token`]);
    expect(failures(findings)).toMatchObject([
      { check: 'discovery', detail: expect.stringContaining('another origin') as string },
    ]);
  });

  it('sends nothing at all when both are foreign, and says so of each address', async () => {
    const metadata = { issuer, token_endpoint: 'https://else.example/token' };
    const { findings, asked } = await examine({ metadata });
    expect([...asked]).toEqual([]);
    expect(failures(findings).map(({ detail }) => detail)).toEqual([
      expect.stringContaining('which was not asked: https://else.example/token'),
      `the metadata name no token endpoint at ${issuer}: nothing was examined there`,
      `the metadata name no token endpoint at ${mtlsOrigin}: nothing was examined there`,
    ]);
  });

  it('goes on when one address does not answer', async () => {
    const answer: Server['answer'] = (url) => {
      if (url.startsWith(issuer)) throw unreachable('bank.example: gone');
      return refused();
    };
    const { findings } = await examine({ answer });
    expect(checks(findings).slice(-2)).toEqual([
      `spoofing ${issuer}/token failed`,
      `spoofing ${mtlsOrigin}/token ok`,
    ]);
    expect(failures(findings)[0]?.detail).toBe('not wholly examined: bank.example: gone');
  });

  it('keeps what it found when time is out', async () => {
    const time = new AbortController();
    const answer: Server['answer'] = (_url, headers, asked) => {
      if (asked === 5) time.abort();
      return headers.has('client-cert') ? Response.json({}) : refused();
    };
    const { findings, asked } = await examine({ answer, signal: time.signal });
    expect(checks(findings)).toEqual([
      'discovery ok',
      'clock warning',
      `spoofing ${issuer}/token failed`,
      'connection failed',
    ]);
    expect(findings.at(-1)?.detail).toContain('took too long');
    expect([...asked]).toEqual([`${issuer}/token`]);
  });

  it('takes the end of time for no refusal of its own certificate', async () => {
    const time = new AbortController();
    const withOwn: OutboundFetch = () => {
      time.abort();
      return Promise.reject(unreachable('given up'));
    };
    const { findings } = await examine({ withOwn, signal: time.signal });
    expect(checks(findings).at(-1)).toBe('connection failed');
    expect(checks(findings)).not.toContain(`spoofing ${issuer}/token ok`);
  });

  it('says what became of its own certificate', async () => {
    const proxy: OutboundFetch = () => Promise.resolve(new Response('no', { status: 400 }));
    const believing: OutboundFetch = () => Promise.resolve(Response.json({ access_token: 'x' }));
    const strict = await examine({ withOwn: proxy });
    expect(failures(strict.findings)).toEqual([]);
    expect(strict.findings.at(-1)?.detail).toContain('which is refused: 400 no JSON');
    expect(failures((await examine({ withOwn: believing })).findings)).toHaveLength(2);
  });

  it('cuts what others say', async () => {
    const metadata = { ...both, token_endpoint: `https://else.example/${'a'.repeat(5000)}` };
    const { findings } = await examine({ metadata });
    const [first] = failures(findings);
    expect(first?.detail).toHaveLength(200);
    expect(first?.detail).toMatch(/^the metadata send clients.*aaa…$/);
    const long = { ...both, token_endpoint: `${issuer}/${'a'.repeat(5000)}` };
    const names = (await examine({ metadata: long })).findings.map(({ check }) => check.length);
    expect(Math.max(...names)).toBe(200);
  });
});
