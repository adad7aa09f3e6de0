import * as openid from 'openid-client';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { authorizationRequest, discover } from './openid.ts';
import type { AuthorizationServer } from './server.ts';

/** Redirect URIs of the test clients. */
export const callbacks = {
  tpp: 'https://tpp.example.com/callback',
  app: 'http://127.0.0.1:49152/callback',
  web: 'https://web.example.com/callback',
} as const;

/** openid-client as the confidential client "web". */
export function discoverWeb(server: AuthorizationServer): Promise<openid.Configuration> {
  const authentication = openid.ClientSecretBasic(server.secrets.web);
  return discover(server, { id: 'web', authentication });
}

/** openid-client as the public client "app". */
export function discoverApp(server: AuthorizationServer): Promise<openid.Configuration> {
  return discover(server, { id: 'app', authentication: openid.None() });
}

/** A customer's way to a code: the redirect to the client and what the client keeps for the exchange. */
export interface Authorization {
  callback: URL;
  code: string;
  codeVerifier: string;
  checks: Awaited<ReturnType<typeof authorizationRequest>>['checks'];
}

/** Sends a customer through login and consent. `redirect_uri` and `scope` are among the parameters. */
export async function authorize(
  server: AuthorizationServer,
  configuration: openid.Configuration,
  request: { parameters: Record<string, string>; agent?: CustomerAgent },
): Promise<Authorization> {
  const { url, codeVerifier, checks } = await authorizationRequest(
    configuration,
    request.parameters,
  );
  const callback = await (request.agent ?? createCustomerAgent(server)).authorize(url);
  return { callback, code: callback.searchParams.get('code') ?? '', codeVerifier, checks };
}

/** The whole way to tokens. */
export async function obtainTokens(
  server: AuthorizationServer,
  configuration: openid.Configuration,
  request: { parameters: Record<string, string>; agent?: CustomerAgent },
): Promise<openid.TokenEndpointResponse & openid.TokenEndpointResponseHelpers> {
  const { callback, checks } = await authorize(server, configuration, request);
  return openid.authorizationCodeGrant(configuration, callback, checks);
}

/** A form sent to an endpoint by hand, where a client library would refuse to send it. */
export interface Form {
  parameters: Record<string, string> | [string, string][];
  /** Sent to the mTLS host with this certificate. */
  certificate?: IssuedCertificate;
  /** Client id and secret for HTTP Basic. */
  basic?: readonly [string, string];
  headers?: Record<string, string>;
}

/** An answer with its JSON body. */
export interface JsonAnswer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** Posts a form to `path`. */
export async function postForm(
  server: AuthorizationServer,
  path: string,
  form: Form,
): Promise<JsonAnswer> {
  const { parameters, certificate, basic, headers } = form;
  const origin = certificate === undefined ? server.issuer : server.mtlsOrigin;
  const credentials = basic?.map(encodeURIComponent).join(':') ?? '';
  const response = await server.fetch(certificate)(origin + path, {
    method: 'POST',
    body: new URLSearchParams(parameters),
    headers: {
      accept: 'application/json',
      ...(basic === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
      ...headers,
    },
  });
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

/** What the resource server learns about a token. */
export async function introspect(
  server: AuthorizationServer,
  token: string,
  resourceServer: 'accounts-rs' | 'opaque-rs' = 'accounts-rs',
): Promise<Record<string, unknown>> {
  const basic = [resourceServer, server.secrets[resourceServer]] as const;
  const { body } = await postForm(server, '/introspect', { parameters: { token }, basic });
  return body;
}

/** Gets userinfo by hand: `WWW-Authenticate` is among the headers. */
export async function userinfo(
  server: AuthorizationServer,
  token: string,
  options: { certificate?: IssuedCertificate; headers?: Record<string, string> } = {},
): Promise<JsonAnswer> {
  const origin = options.certificate === undefined ? server.issuer : server.mtlsOrigin;
  const response = await server.fetch(options.certificate)(`${origin}/userinfo`, {
    headers: { authorization: `Bearer ${token}`, ...options.headers },
  });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

/** Opens an authorization URL made of exactly these parameters. */
export function openAuthorization(
  server: AuthorizationServer,
  parameters: Record<string, string> | [string, string][],
  agent: CustomerAgent = createCustomerAgent(server),
): Promise<Page> {
  return agent.open(`${server.issuer}/authorize?${new URLSearchParams(parameters).toString()}`);
}

/** `n` copies of a request, sent at once, every other one to the other server. */
export function atOnce<T>(
  servers: readonly [AuthorizationServer, AuthorizationServer],
  n: number,
  send: (server: AuthorizationServer) => Promise<T>,
): Promise<T[]> {
  return Promise.all(Array.from({ length: n }, (_, i) => send(servers[i % 2 === 0 ? 0 : 1])));
}

/** Runs `work` and gives the OAuth error that it was refused with. */
export async function errorOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof openid.ResponseBodyError) return error.error;
    throw error;
  }
  throw new Error('it was not refused');
}
