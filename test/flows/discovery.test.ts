import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discover, discoverTpp } from '../support/openid.ts';
import { basic, getWith, post, send } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
/** The listener for browsers, and the one for certificates with the TPP's. */
let doors: { name: string; origin: string; fetch: typeof fetch }[];
let metadata: Record<string, unknown>;

const openidConfiguration = '/.well-known/openid-configuration';
const oauthConfiguration = '/.well-known/oauth-authorization-server';

beforeAll(async () => {
  server = await startAuthorizationServer({ algorithms: ['PS256', 'ES256', 'EdDSA'] });
  doors = [
    { name: 'public', origin: server.issuer, fetch: server.fetch() },
    { name: 'mTLS', origin: server.mtlsOrigin, fetch: server.fetch(server.tpp) },
  ];
  metadata = (await send(server.fetch(), server.issuer + openidConfiguration)).body;
});

afterAll(() => server.stop());

const onBothDoors = async (path: string, init?: RequestInit) =>
  Promise.all(doors.map((door) => send(door.fetch, door.origin + path, init)));

describe('The discovery documents', () => {
  it('are the same at both well-known paths and on both listeners', async () => {
    const answers = [
      ...(await onBothDoors(openidConfiguration)),
      ...(await onBothDoors(oauthConfiguration)),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  });

  it('are understood by a client that reads either', async () => {
    for (const algorithm of ['oidc', 'oauth2'] as const) {
      const configuration = await openid.discovery(
        new URL(server.issuer),
        'app',
        undefined,
        openid.None(),
        { [openid.customFetch]: server.fetch() as openid.CustomFetch, algorithm },
      );
      expect(configuration.serverMetadata().issuer).toBe(server.issuer);
    }
  });

  it('name exactly what is on', () => {
    const { issuer, mtlsOrigin } = server;
    const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
    // In the order of our keys.
    const ours = expect.toSatisfy(
      (named: string[]) => [...named].sort().join(' ') === 'ES256 EdDSA PS256 RS256',
    ) as unknown;
    const confidential = [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      'tls_client_auth',
      'self_signed_tls_client_auth',
    ];
    expect(metadata).toEqual({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      pushed_authorization_request_endpoint: `${issuer}/par`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      introspection_endpoint: `${issuer}/introspect`,
      revocation_endpoint: `${issuer}/revoke`,
      end_session_endpoint: `${issuer}/logout`,
      jwks_uri: `${issuer}/jwks`,
      mtls_endpoint_aliases: {
        pushed_authorization_request_endpoint: `${mtlsOrigin}/par`,
        token_endpoint: `${mtlsOrigin}/token`,
        userinfo_endpoint: `${mtlsOrigin}/userinfo`,
        introspection_endpoint: `${mtlsOrigin}/introspect`,
        revocation_endpoint: `${mtlsOrigin}/revoke`,
        grant_management_endpoint: `${mtlsOrigin}/grants`,
      },
      grant_management_endpoint: `${issuer}/grants`,
      grant_management_actions_supported: ['create', 'merge', 'replace', 'query', 'revoke'],
      grant_management_action_required: false,
      response_types_supported: ['code'],
      response_modes_supported: [
        'form_post',
        'fragment',
        'query',
        'jwt',
        'query.jwt',
        'fragment.jwt',
        'form_post.jwt',
      ],
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      token_endpoint_auth_methods_supported: ['none', ...confidential],
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint_auth_methods_supported: ['none', ...confidential],
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
      introspection_endpoint_auth_methods_supported: confidential,
      introspection_endpoint_auth_signing_alg_values_supported: algorithms,
      id_token_signing_alg_values_supported: ours,
      authorization_signing_alg_values_supported: ours,
      introspection_signing_alg_values_supported: ours,
      dpop_signing_alg_values_supported: ['PS256', 'ES256', 'EdDSA', 'Ed25519'],
      subject_types_supported: ['public', 'pairwise'],
      scopes_supported: ['openid', 'offline_access', 'profile', 'email', 'phone', 'address'],
      claim_types_supported: ['normal'],
      claims_supported: expect.arrayContaining(['sub', 'name', 'email', 'acr', 'amr']) as unknown,
      acr_values_supported: expect.any(Array) as unknown,
      authorization_details_types_supported: [
        'account_information',
        'payment_initiation',
        'funds_confirmation',
      ],
      claims_parameter_supported: true,
      request_parameter_supported: true,
      request_object_signing_alg_values_supported: algorithms,
      request_uri_parameter_supported: false,
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      tls_client_certificate_bound_access_tokens: true,
    });
  });

  it('promise ID token algorithms only where a key signs them', async () => {
    const plain = await startAuthorizationServer();
    try {
      const { body } = await send(plain.fetch(), plain.issuer + openidConfiguration);
      expect(body['id_token_signing_alg_values_supported']).toEqual(['RS256']);
    } finally {
      await plain.stop();
    }
  });

  it.each([
    { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' },
    { forwarded: 'host=evil.example;proto=http', 'x-forwarded-port': '1' },
    { 'x-forwarded-prefix': '/evil', 'x-original-host': 'evil.example' },
  ])('do not follow %j', async (headers) => {
    for (const { body } of await onBothDoors(openidConfiguration, { headers })) {
      expect(body).toEqual(metadata);
    }
  });
});

describe('A request for another host', () => {
  const hosts = ['evil.example', 'localhost', 'localhost:1', 'localhost.evil.example', '127.0.0.1'];

  it.each([openidConfiguration, '/jwks', '/token', '/authorize'])(
    'is refused at %s on both listeners',
    async (path) => {
      for (const host of hosts) {
        for (const { origin } of doors) {
          const { status, text } = await getWith(server, origin + path, { host });
          expect([host, origin, status]).toEqual([host, origin, 421]);
          expect(text).not.toContain(host);
        }
      }
    },
  );

  it('is refused when it names the other listener', async () => {
    const [issuer, mtls] = [server.issuer, server.mtlsOrigin];
    const atPublic = await getWith(server, `${issuer}/jwks`, { host: new URL(mtls).host });
    const atMtls = await getWith(server, `${mtls}/jwks`, { host: new URL(issuer).host });
    expect([atPublic.status, atMtls.status]).toEqual([421, 421]);
  });

  it('is answered under the own name, in other letters too', async () => {
    const host = new URL(server.issuer).host.toUpperCase();
    const { status, body } = await getWith(server, server.issuer + openidConfiguration, { host });
    expect(status).toBe(200);
    expect(body).toEqual(metadata);
  });
});

describe('Every endpoint that discovery names', () => {
  it('answers, and the aliases take certificates', async () => {
    const { secrets } = server;
    const aliases = metadata['mtls_endpoint_aliases'] as Record<string, string>;
    const rsHeaders = basic('accounts-rs', secrets['accounts-rs']);
    const configuration = await discoverTpp(server);
    const { access_token: token } = await openid.clientCredentialsGrant(configuration, {});
    const own = server.fetch(server.tpp);
    const form = { token };

    expect(
      await Promise.all([
        send(own, String(metadata['jwks_uri'])).then(({ status }) => status),
        post(own, String(metadata['introspection_endpoint']), { form, headers: rsHeaders }).then(
          ({ body }) => body['active'],
        ),
        post(own, String(aliases['introspection_endpoint']), { form, headers: rsHeaders }).then(
          ({ body }) => body['active'],
        ),
        send(own, String(metadata['userinfo_endpoint'])).then(({ status }) => status),
        send(own, String(aliases['userinfo_endpoint'])).then(({ status }) => status),
        send(own, String(metadata['end_session_endpoint'])).then(({ status }) => status),
        send(own, String(metadata['authorization_endpoint'])).then(({ status }) => status),
      ]),
    ).toEqual([200, true, true, 401, 401, 200, 400]);

    const alias = String(aliases['revocation_endpoint']);
    const revoked = await post(own, alias, { form: { token, client_id: 'tpp' } });
    expect(revoked.status).toBe(200);
    const after = await post(own, String(metadata['introspection_endpoint']), {
      form,
      headers: rsHeaders,
    });
    expect(after.body).toEqual({ active: false });
  });

  it('has no neighbours for what is off', async () => {
    const paths = ['/request', '/reg', '/register', '/device', '/device/auth', '/backchannel'];
    const others = [
      '/challenge',
      '/session/end',
      '/auth',
      '/me',
      '/certs',
      '/.well-known/webfinger',
    ];
    for (const path of [...paths, ...others]) {
      const got = await send(server.fetch(), server.issuer + path);
      const posted = await post(server.fetch(), server.issuer + path, {
        form: { client_id: 'app' },
      });
      expect([path, got.status, posted.status]).toEqual([path, 404, 404]);
    }
  });
});

describe('What discovery does not name', () => {
  it.each([
    { response_type: 'id_token' },
    { response_type: 'token' },
    { response_type: 'code id_token' },
    { response_type: 'none' },
    { response_mode: 'web_message' },
    { request: 'eyJhbGciOiJub25lIn0.e30.' },
    { request_uri: 'urn:ietf:params:oauth:request_uri:x' },
  ])('is refused at the authorization endpoint: %j', async (parameters) => {
    const url = new URL(String(metadata['authorization_endpoint']));
    url.search = new URLSearchParams({
      client_id: 'web',
      redirect_uri: 'https://web.example.com/callback',
      response_type: 'code',
      scope: 'openid',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
      ...parameters,
    } as Record<string, string>).toString();
    const { status, headers } = await send(server.fetch(), url.href);
    const location = headers.get('location') ?? '';
    const target = URL.parse(location);
    const error =
      target?.searchParams.get('error') ?? new URLSearchParams(target?.hash.slice(1)).get('error');
    expect([status, error !== null, location.includes('code=')]).toEqual([303, true, false]);
  });

  it.each(['urn:ietf:params:oauth:grant-type:device_code', 'password', 'implicit'])(
    'is refused at the token endpoint: grant type %s',
    async (grant_type) => {
      const { status, body } = await post(server.fetch(), `${server.issuer}/token`, {
        form: { grant_type, scope: 'accounts' },
        headers: basic('web', server.secrets.web),
      });
      expect([status, body['error']]).toEqual([400, 'unsupported_grant_type']);
    },
  );
});

describe('The key set', () => {
  const jwks = () => send(server.fetch(), `${server.issuer}/jwks`);

  it('has one key an algorithm, public members only, each with its kid', async () => {
    const { body } = await jwks();
    const keys = body['keys'] as Record<string, unknown>[];
    expect(keys.map(({ alg }) => alg).sort()).toEqual(['ES256', 'EdDSA', 'PS256', 'RS256']);
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(4);
    const members = new Set(keys.flatMap((key) => Object.keys(key)));
    expect([...members].sort()).toEqual(['alg', 'crv', 'e', 'kid', 'kty', 'n', 'use', 'x', 'y']);
  });

  it('may be cached and asked for again', async () => {
    const first = await jwks();
    expect(first.headers.get('cache-control')).toBe('public, max-age=300');
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect((await jwks()).headers.get('etag')).toBe(etag);

    for (const { origin } of doors) {
      for (const path of ['/jwks', openidConfiguration]) {
        const url = origin + path;
        const current = (await send(server.fetch(), url)).headers.get('etag') ?? '';
        const again = await getWith(server, url, { 'if-none-match': current });
        expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', current]);
        const stale = await getWith(server, url, { 'if-none-match': '"other"' });
        expect(stale.status).toBe(200);
      }
    }
  });
});

describe('A client by its own secret', () => {
  it('finds the same endpoints', async () => {
    const configuration = await discover(server, {
      id: 'web',
      authentication: openid.ClientSecretBasic(server.secrets.web),
    });
    const token = await openid.clientCredentialsGrant(configuration, { scope: 'accounts' });
    expect(token.token_type).toBe('bearer');
  });
});
