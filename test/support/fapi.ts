import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent } from './customer-agent.ts';
import { asserted, clientAssertion, post } from './protocol.ts';
import type { Answer, AssertionOptions } from './protocol.ts';
import { accountsApi, opaqueApi } from './server.ts';
import type { AuthorizationServer } from './server.ts';

/** A key pair of a client: for assertions, request objects or DPoP proofs. */
export interface ClientKey {
  alg: string;
  kid: string;
  privateKey: CryptoKey;
  publicKey: CryptoKey;
  /** With `kid`. */
  jwk: JWK;
  /** RFC 7638, as `cnf.jkt` has it. */
  thumbprint: string;
}

/** A new key pair. */
export async function newClientKey(alg = 'ES256'): Promise<ClientKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const bare = await exportJWK(publicKey);
  const thumbprint = await calculateJwkThumbprint(bare);
  const jwk = { ...bare, kid: thumbprint };
  return { alg, kid: thumbprint, privateKey, publicKey, jwk, thumbprint };
}

/** Where the client of {@link fapiRegistration} has its customers sent back to. */
export const redirectUriOf = (id: string) => `https://${id}.example.com/callback`;

/** A client with a key that binds its tokens by DPoP, in the shape of the static file; of the profile `fapi2`. */
export function fapiRegistration(id: string, key: ClientKey, metadata: object = {}) {
  return {
    metadata: {
      client_id: id,
      client_name: `Client ${id}`,
      security_profile: 'fapi2',
      redirect_uris: [redirectUriOf(id)],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      dpop_bound_access_tokens: true,
      jwks: { keys: [key.jwk] },
      ...metadata,
    },
    permissions: { [accountsApi]: ['accounts', 'payments'], [opaqueApi]: ['statements'] },
  };
}

/** What a proof says, when it is not the usual; undefined leaves a member out. */
export interface ProofOptions {
  key: ClientKey;
  url: string;
  method?: string;
  accessToken?: string;
  nonce?: string;
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
}

/** A DPoP proof (RFC 9449 §4.2). */
export async function dpopProof(options: ProofOptions): Promise<string> {
  const { key, url, method = 'POST', accessToken, nonce, claims, header } = options;
  const ath =
    accessToken === undefined
      ? {}
      : { ath: createHash('sha256').update(accessToken).digest('base64url') };
  const usual = { jti: randomUUID(), htm: method, htu: url, iat: epochSeconds(systemClock) };
  const { kid: _kid, ...jwk } = key.jwk;
  return new SignJWT({ ...usual, ...ath, ...(nonce === undefined ? {} : { nonce }), ...claims })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: key.alg, jwk, ...header })
    .sign(key.privateKey);
}

/** What a request may do differently. */
export interface Variation {
  /** Another assertion than the usual, or none at all. */
  assertion?: Partial<AssertionOptions> | false;
  /** Another proof than the usual, or none at all. */
  proof?: Partial<ProofOptions> | string | false;
  headers?: Record<string, string>;
  /** Sent to this server of the installation instead. */
  at?: AuthorizationServer;
}

/** A client that speaks by hand, so that every request can be wrong in one way. */
export interface FapiClient {
  id: string;
  key: ClientKey;
  proofKey: ClientKey;
  /** The usual authorization request; the verifier is its `code_verifier`. */
  parameters: Record<string, string>;
  codeVerifier: string;
  /** A signed request object (RFC 9101) with these parameters. */
  requestObject(
    parameters?: Record<string, unknown>,
    options?: { header?: Record<string, unknown>; key?: ClientKey },
  ): Promise<string>;
  push(parameters: Record<string, string>, variation?: Variation): Promise<Answer>;
  /** Pushes the request and gives back where the customer's browser goes. */
  pushed(parameters?: Record<string, string>, variation?: Variation): Promise<string>;
  /** The redirect after the customer agreed. */
  authorize(parameters?: Record<string, string>, agent?: CustomerAgent): Promise<URL>;
  /** Any endpoint of ours that clients post to. */
  post(path: string, form: Record<string, string>, variation?: Variation): Promise<Answer>;
  token(form: Record<string, string>, variation?: Variation): Promise<Answer>;
  exchange(code: string, variation?: Variation): Promise<Answer>;
}

/** How a client of {@link fapiRegistration} proves itself. */
export interface Means {
  id: string;
  key: ClientKey;
  /** The key of its proofs; false for a client that is bound to its certificate. */
  proofKey: ClientKey | false;
  certificate?: IssuedCertificate;
  /** False for a client that authenticates by its certificate. */
  asserts?: boolean;
}

/** A client of `server`. */
export function fapiClient(server: AuthorizationServer, means: Means): FapiClient {
  const { id, key, certificate } = means;
  const codeVerifier = randomBytes(32).toString('base64url');
  const fetchers = new Map<AuthorizationServer, typeof fetch>();
  const parameters = {
    response_type: 'code',
    redirect_uri: redirectUriOf(id),
    scope: 'openid accounts',
    resource: accountsApi,
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'xyz',
  };

  async function authentication({ assertion = {} }: Variation): Promise<Record<string, string>> {
    if (assertion === false || means.asserts === false) return { client_id: id };
    const usual = { clientId: id, key: key.privateKey, kid: key.kid, alg: key.alg };
    const jwt = await clientAssertion({ ...usual, audience: server.issuer, ...assertion });
    return { client_id: id, ...asserted(jwt) };
  }

  async function proof(url: string, { proof: own = {} }: Variation) {
    if (own === false || (means.proofKey === false && Object.keys(own).length === 0)) return {};
    if (typeof own === 'string') return { dpop: own };
    const usual = { key: means.proofKey === false ? key : means.proofKey, url };
    return { dpop: await dpopProof({ ...usual, ...own }) };
  }

  async function send(
    path: string,
    form: Record<string, string>,
    variation: Variation = {},
  ): Promise<Answer> {
    const at = variation.at ?? server;
    const fetcher = fetchers.get(at) ?? at.fetch(certificate);
    fetchers.set(at, fetcher);
    const url = (certificate === undefined ? at.issuer : at.mtlsOrigin) + path;
    return post(fetcher, url, {
      form: { ...(await authentication(variation)), ...form },
      headers: { ...(await proof(url, variation)), ...variation.headers },
    });
  }

  const client: FapiClient = {
    id,
    key,
    proofKey: means.proofKey === false ? key : means.proofKey,
    parameters,
    codeVerifier,

    requestObject(own = {}, { header = {}, key: signer = key } = {}) {
      const now = epochSeconds(systemClock);
      const times = { nbf: now, exp: now + 300, iat: now };
      const usual = { iss: id, aud: server.issuer, client_id: id, ...times, ...parameters };
      return new SignJWT({ ...usual, ...own })
        .setProtectedHeader({
          alg: signer.alg,
          kid: signer.kid,
          typ: 'oauth-authz-req+jwt',
          ...header,
        })
        .sign(signer.privateKey);
    },

    post: send,

    push: (form, variation) => send('/par', form, variation),

    async pushed(own = parameters, variation = {}) {
      // The proof at PAR binds the code: a client may leave it to the exchange.
      const { status, body, text } = await client.push(own, { proof: false, ...variation });
      if (status !== 201) throw new Error(`not pushed: ${String(status)} ${text}`);
      const query = new URLSearchParams({
        client_id: id,
        request_uri: String(body['request_uri']),
      });
      return `${server.issuer}/authorize?${query.toString()}`;
    },

    async authorize(own = parameters, agent = createCustomerAgent(server)) {
      return agent.authorize(await client.pushed(own));
    },

    token: (form, variation) => send('/token', form, variation),

    exchange: (code, variation) =>
      client.token(
        {
          grant_type: 'authorization_code',
          code,
          code_verifier: codeVerifier,
          redirect_uri: parameters.redirect_uri,
        },
        variation,
      ),
  };
  return client;
}

/** The code in a redirect to the client; an error with the whole address when there is none. */
export function codeIn(callback: URL): string {
  const code = callback.searchParams.get('code');
  if (code === null) throw new Error(`no code in ${callback.href}`);
  return code;
}
