import { randomBytes } from 'node:crypto';
import * as openid from 'openid-client';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from './certificates.ts';
import { discover } from './openid.ts';
import { basic, send } from './protocol.ts';
import type { Answer } from './protocol.ts';
import { startAuthorizationServer } from './server.ts';
import type { AuthorizationServer, ServerOptions } from './server.ts';

/** The resource servers of these tests, and what their keys may be good for. */
export const bankApi = 'https://keys-api.example.com';
export const otherApi = 'https://other-keys-api.example.com';

export const keysPath = '/api-keys/v1/keys';
export const verifyPath = '/api-keys/v1/verify';

/** A client that manages its keys. */
export interface KeyOwner {
  id: string;
  certificate: IssuedCertificate;
  configuration: openid.Configuration;
  token(scope?: string): Promise<string>;
  /** A call at the mTLS host, with a token of scope "api-keys" if nothing else is said. */
  call(method: string, path: string, call?: OwnerCall): Promise<Answer>;
  /** Makes a key for `accounts` at {@link bankApi} that lives a day. */
  make(more?: Record<string, unknown>): Promise<MadeKey>;
}

export interface OwnerCall {
  token?: string;
  body?: unknown;
  text?: string;
  headers?: Record<string, string>;
  certificate?: IssuedCertificate;
  /** Another process on the same data. */
  at?: AuthorizationServer;
}

export interface MadeKey {
  id: string;
  key: string;
  body: Record<string, unknown>;
}

export interface KeyServer {
  server: AuthorizationServer;
  owner: KeyOwner;
  /** Another client that may do the same. */
  other: KeyOwner;
  /** A third one, to be deleted. */
  doomed: KeyOwner;
  /** What the resource servers authenticate with, as "keys-rs" and "other-keys-rs". */
  serverSecret: string;
  /** What a resource server is told of a key. */
  verify(key: string, how?: VerifyOptions): Promise<Answer>;
  beside(): Promise<AuthorizationServer>;
}

export interface VerifyOptions {
  as?: 'keys-rs' | 'other-keys-rs';
  address?: string;
  at?: AuthorizationServer;
}

const subjectOf = (id: string) => `CN=${id},O=${id} Ltd,C=GB`;
const keyScopes = ['accounts', 'payments', 'api-keys'];
const sentence = { en: 'Something' };

const clients = [
  ...['keys-tpp', 'keys-other', 'keys-doomed'].map((id) => ({
    metadata: {
      client_id: id,
      client_name: id,
      redirect_uris: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: subjectOf(id),
    },
    permissions: {
      [bankApi]: id === 'keys-tpp' ? keyScopes : ['accounts', 'api-keys'],
      ...(id === 'keys-tpp' ? { [otherApi]: ['statements'] } : {}),
    },
  })),
  ...['keys-rs', 'other-keys-rs'].map((id) => ({
    metadata: { client_id: id, grant_types: [], token_endpoint_auth_method: 'client_secret_basic' },
    clientSecretFile: import.meta.filename,
  })),
  {
    metadata: {
      client_id: 'certificate-rs',
      grant_types: [],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: subjectOf('certificate-rs'),
    },
  },
];

const resourceServers = [
  {
    identifier: bankApi,
    name: 'Bank API',
    introspectionClientId: 'keys-rs',
    scopes: Object.fromEntries(keyScopes.map((scope) => [scope, sentence])),
  },
  {
    identifier: otherApi,
    name: 'Other API',
    introspectionClientId: 'other-keys-rs',
    scopes: { statements: sentence },
  },
  {
    identifier: 'https://certificate-api.example.com',
    name: 'Certificate API',
    introspectionClientId: 'certificate-rs',
    scopes: { statements: sentence },
  },
];

/** A server with two clients that may manage keys, and three resource servers. */
export async function startKeyServer(options: ServerOptions = {}): Promise<KeyServer> {
  const environment = {
    COUNTERSIGN_API_KEYS_RESOURCE: bankApi,
    COUNTERSIGN_DEFAULT_RESOURCE: bankApi,
    ...options.environment,
  };
  const all = { ...options, environment };
  const server = await startAuthorizationServer({ ...all, clients, resourceServers });
  const serverSecret = randomBytes(32).toString('base64url');
  for (const id of ['keys-rs', 'other-keys-rs']) {
    await server.running.app.clients.setSecret(id, serverSecret);
  }
  return {
    server,
    serverSecret,
    owner: await ownerOf(server, 'keys-tpp'),
    other: await ownerOf(server, 'keys-other'),
    doomed: await ownerOf(server, 'keys-doomed'),
    verify: (key, { as = 'keys-rs', address, at = server } = {}) =>
      send(at.fetch(), server.issuer + verifyPath, {
        method: 'POST',
        headers: { ...basic(as, serverSecret), 'content-type': 'application/json' },
        body: JSON.stringify({ key, ...(address === undefined ? {} : { address }) }),
      }),
    beside: () => startAuthorizationServer({ ...all, beside: server }),
  };
}

/** A client's certificate by its id. */
export function certificateFor(server: AuthorizationServer, id: string) {
  return clientCertificate(server.certificates.authority, { subject: subjectOf(id) });
}

async function ownerOf(server: AuthorizationServer, id: string): Promise<KeyOwner> {
  const certificate = await certificateFor(server, id);
  const configuration = await discover(server, {
    ...{ id, certificate, authentication: openid.TlsClientAuth() },
  });
  const tokens = new Map<string, string>();

  async function token(scope = 'api-keys'): Promise<string> {
    const known = tokens.get(scope);
    if (known !== undefined) return known;
    const answer = await openid.clientCredentialsGrant(configuration, { scope });
    tokens.set(scope, answer.access_token);
    return answer.access_token;
  }

  async function call(method: string, path: string, how: OwnerCall = {}): Promise<Answer> {
    const { at = server, body, text } = how;
    const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
    return send(at.fetch(how.certificate ?? certificate), server.mtlsOrigin + path, {
      method,
      headers: {
        authorization: `Bearer ${how.token ?? (await token())}`,
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...how.headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
    });
  }

  return {
    ...{ id, certificate, configuration, token, call },
    async make(more = {}) {
      const answer = await call('POST', keysPath, { body: { ...keyRequest(), ...more } });
      if (answer.status !== 201) throw new Error(answer.text);
      return { id: String(answer.body['id']), key: String(answer.body['key']), body: answer.body };
    },
  };
}

/** A request for a key that lives a day by the machine's clock. */
export function keyRequest(now = new Date()) {
  return {
    name: 'nightly export',
    permissions: { [bankApi]: ['accounts'] },
    expires_at: new Date(now.getTime() + 86_400_000).toISOString(),
  };
}
