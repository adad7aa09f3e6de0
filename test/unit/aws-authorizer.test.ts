import { X509Certificate } from 'node:crypto';
import type { Middleware } from 'koa';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAuthorizer } from '../../deploy/aws/authorizer.mjs';
import { epochSeconds } from '../../src/clock.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { dpopProof, newClientKey } from '../support/fapi.ts';
import { serveSteps } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { audience, issuer, movableClock, standInIssuer } from '../support/stand-in-issuer.ts';
import type { StandInIssuer } from '../support/stand-in-issuer.ts';

const clock = movableClock();
const routes = { 'GET /accounts/{id}': 'accounts', 'POST /payments': 'payments' };
const methodArn = 'arn:aws:execute-api:eu-west-1:1:api/prod/GET/accounts/1';
let world: StandInIssuer;
let pem: string;
let token: string;
let authorize: ReturnType<typeof createAuthorizer>;

beforeAll(async () => {
  world = await standInIssuer(clock, ['ES256']);
  authorize = createAuthorizer(
    { issuer, audience, fetch: world.fetch, now: () => clock.now() },
    routes,
  );
  const { authority } = await createTestCertificates();
  pem = (await clientCertificate(authority)).certificatePem;
  const thumbprint = Buffer.from(
    new X509Certificate(pem).fingerprint256.replaceAll(':', ''),
    'hex',
  ).toString('base64url');
  token = await world.token({ cnf: { 'x5t#S256': thumbprint }, consent_id: 'c1' });
});

const httpEvent = (headers: Record<string, string>, more: object = {}, clientCertPem = pem) => ({
  ...{ version: '2.0', routeKey: 'GET /accounts/{id}', rawPath: '/accounts/1' },
  ...{ rawQueryString: '', headers },
  requestContext: {
    http: { method: 'GET' },
    ...(clientCertPem === '' ? {} : { authentication: { clientCert: { clientCertPem } } }),
  },
  ...more,
});

const restEvent = (headers: Record<string, string[]>, more: object = {}) => ({
  ...{ type: 'REQUEST', methodArn, httpMethod: 'GET', resource: '/accounts/{id}' },
  multiValueHeaders: headers,
  requestContext: { path: '/prod/accounts/1', identity: { clientCert: { clientCertPem: pem } } },
  ...more,
});

const context = {
  ...{ userId: 'casey', clientId: 'tpp', scopes: 'accounts', consentId: 'c1' },
  tokenExpires: expect.stringMatching(/^\d+$/) as string,
};

describe('The authorizer of an HTTP API', () => {
  const bearer = () => ({ authorization: `Bearer ${token}` });

  it('allows what the middleware admits', async () => {
    expect(await authorize(httpEvent(bearer()))).toEqual({ isAuthorized: true, context });
  });

  it('denies other routes, and tokens without the scope', async () => {
    const unknown = await authorize(httpEvent(bearer(), { routeKey: '$default' }));
    expect(unknown).toEqual({ isAuthorized: false });
    const payments = await authorize(httpEvent(bearer(), { routeKey: 'POST /payments' }));
    expect(payments).toEqual({ isAuthorized: false });
    const inherited = await authorize(httpEvent(bearer(), { routeKey: 'toString' }));
    expect(inherited).toEqual({ isAuthorized: false });
  });

  it('says 401 to everybody else', async () => {
    for (const event of [
      httpEvent({}),
      httpEvent({ authorization: 'Bearer x' }),
      httpEvent({ authorization: `Bearer ${token},Bearer ${token}` }),
      httpEvent(bearer(), {}, ''),
    ]) {
      await expect(authorize(event)).rejects.toThrow('Unauthorized');
    }
  });

  it('checks proofs for the address that was called', async () => {
    const key = await newClientKey();
    const accessToken = await world.token({ cnf: { jkt: key.thumbprint } });
    const claims = { iat: epochSeconds(clock) };
    const url = `${audience}/accounts/1`;
    const dpop = await dpopProof({ key, url, method: 'GET', accessToken, claims });
    const headers = { authorization: `DPoP ${accessToken}`, dpop };
    expect(await authorize(httpEvent(headers))).toMatchObject({ isAuthorized: true });
    await expect(authorize(httpEvent(headers))).rejects.toThrow('Unauthorized');
  });
});

describe('The authorizer of a REST API', () => {
  it('gives a policy for what the middleware admits', async () => {
    expect(await authorize(restEvent({ Authorization: [`Bearer ${token}`] }))).toEqual({
      principalId: 'casey',
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: methodArn }],
      },
      context,
    });
  });

  it('denies, and says 401 to who has no good token', async () => {
    const headers = { Authorization: [`Bearer ${token}`] };
    const denied = await authorize(restEvent(headers, { resource: '/admin' }));
    expect(denied).toMatchObject({ policyDocument: { Statement: [{ Effect: 'Deny' }] } });
    const twice = { Authorization: [`Bearer ${token}`], authorization: ['Bearer x'] };
    await expect(authorize(restEvent(twice))).rejects.toThrow('Unauthorized');
  });
});

describe('Where Countersign does not answer', () => {
  let countersign: TestServer;

  afterEach(() => countersign[Symbol.asyncDispose]());

  /** The authorizer with an issuer behind real sockets, which answers by `step`; the rest as it should. */
  async function authorizerOf(step: Middleware, more: object = {}) {
    countersign = await serveSteps([step]);
    const { host } = countersign;
    return createAuthorizer(
      {
        ...{ issuer, audience, timeoutMs: 200, now: () => clock.now(), ...more },
        fetch: (url, init) => fetch(url.replace(issuer, `http://${host}`), init),
      },
      routes,
    );
  }

  const answers = (status: number): Middleware =>
    function answer(ctx) {
      ctx.status = status;
    };

  const serve: Middleware = async (ctx) => {
    const response = await world.fetch(issuer + ctx.url);
    ctx.status = response.status;
    ctx.body = await response.json();
  };
  const events = () => [
    httpEvent({ authorization: `Bearer ${token}` }),
    restEvent({ Authorization: [`Bearer ${token}`] }),
  ];

  it.each<[string, Middleware]>([
    ['says 503', answers(503)],
    ['says 500', answers(500)],
    ['says nothing', () => new Promise(() => undefined)],
    [
      'hangs up',
      (ctx) => {
        ctx.req.socket.destroy();
      },
    ],
    [
      'has no keys',
      async (ctx, next) => {
        if (ctx.path === '/jwks') ctx.status = 502;
        else await serve(ctx, next);
      },
    ],
  ])('but %s, nobody is told 401 or 403', async (_, step) => {
    const ask = await authorizerOf(step);
    for (const event of events()) {
      await expect(ask(event)).rejects.toThrow('Countersign does not answer');
    }
  });

  it('callers without a token are told 401 all the same, and other routes 403', async () => {
    const ask = await authorizerOf(answers(503));
    await expect(ask(httpEvent({}))).rejects.toThrow('Unauthorized');
    const denied = await ask(httpEvent({}, { routeKey: '$default' }));
    expect(denied).toEqual({ isAuthorized: false });
  });

  it('goes on once it answers', async () => {
    let isDown = true;
    const clockOf = movableClock();
    const step: Middleware = async (ctx, next) => {
      if (isDown) ctx.status = 503;
      else await serve(ctx, next);
    };
    const ask = await authorizerOf(step, { now: () => clockOf.now() });
    const [event = {}] = events();
    await expect(ask(event)).rejects.toThrow('Countersign does not answer');
    isDown = false;
    clockOf.advance(10); // a discovery that failed is not tried by each request
    expect(await ask(event)).toMatchObject({ isAuthorized: true });
  });

  it('the handler of the deployment says so too', async () => {
    countersign = await serveSteps([serve]);
    vi.stubEnv('COUNTERSIGN_ISSUER', `https://${countersign.host}`);
    vi.stubEnv('COUNTERSIGN_AUDIENCE', audience);
    vi.stubEnv('COUNTERSIGN_ROUTES', JSON.stringify(routes));
    vi.resetModules();
    const { handler } = await import('../../deploy/aws/authorizer.mjs');
    vi.unstubAllEnvs();
    // It speaks no TLS.
    const [event = {}] = events();
    await expect(handler?.(event)).rejects.toThrow('Countersign does not answer');
    await expect(handler?.(httpEvent({}))).rejects.toThrow('Unauthorized');
  });
});
