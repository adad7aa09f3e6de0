import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { Authorization } from './journey.ts';
import { basic, post } from './protocol.ts';
import type { Answer } from './protocol.ts';
import type { AuthorizationServer } from './server.ts';

/** Who sends, and how that is proven. */
export interface Sender {
  id: string;
  redirectUri: string;
  secret?: string;
  certificate?: IssuedCertificate;
}

/** The requests that a client makes on its own, by hand: a retry is then just a second call. */
export interface OAuthClient {
  exchange(authorization: Pick<Authorization, 'code' | 'codeVerifier'>): Promise<Answer>;
  refresh(refreshToken: string): Promise<Answer>;
  revoke(token: string): Promise<Answer>;
}

/** A client whose requests reach `at`, on connections that it keeps. */
export function oauthClient(at: AuthorizationServer, sender: Sender): OAuthClient {
  const { id, redirectUri, secret, certificate } = sender;
  const fetcher = at.fetch(certificate);
  const origin = certificate === undefined ? at.issuer : at.mtlsOrigin;
  function send(path: string, parameters: Record<string, string>): Promise<Answer> {
    return post(fetcher, origin + path, {
      form: secret === undefined ? { client_id: id, ...parameters } : parameters,
      headers: secret === undefined ? {} : basic(id, secret),
    });
  }
  return {
    exchange: ({ code, codeVerifier }) =>
      send('/token', {
        grant_type: 'authorization_code',
        redirect_uri: redirectUri,
        code,
        code_verifier: codeVerifier,
      }),
    refresh: (token) => send('/token', { grant_type: 'refresh_token', refresh_token: token }),
    revoke: (token) => send('/revoke', { token }),
  };
}

/** The tokens of a successful answer. */
export function tokensOf({ status, body, text }: Answer): { access: string; refresh: string } {
  if (status !== 200) throw new Error(`no tokens but ${String(status)} ${text}`);
  return { access: String(body['access_token']), refresh: String(body['refresh_token']) };
}

/** A public client at a site of its own, whose refresh tokens rotate; with a certificate they are bound to it. */
export function publicClient(id: string, permissions: Record<string, string[]>, bound = false) {
  return {
    metadata: {
      client_id: id,
      redirect_uris: [`https://${id}.example.com/callback`],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      ...(bound ? { tls_client_certificate_bound_access_tokens: true } : {}),
    },
    permissions,
  };
}
