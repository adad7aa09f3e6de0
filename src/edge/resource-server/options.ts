import { isPlain } from './refusal.ts';
import { expect, expectShape } from './shape.ts';
import { isFlag, isFunction, isNumber, isOneOf, isRecord, isText, isTexts } from './shape.ts';
import type { Shape } from './shape.ts';
import { surroundings } from './surroundings.ts';

/** Algorithms of access tokens; all asymmetric, so that nobody can sign with a public key. */
export type TokenAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

const tokenAlgorithms: readonly TokenAlgorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA'];

/** A proxy in front of the API that ends TLS and tells of client certificates. */
export interface ProxyOptions {
  /** The header with the client's certificate; the proxy must overwrite what callers send in it. */
  header: string;
  /** `rfc9440`: base64 DER between colons (RFC 9440). `pem`: percent-encoded PEM, as NGINX's `$ssl_client_escaped_cert`. */
  format: 'rfc9440' | 'pem';
  /** Present, and while it changes former, values of the header `secretHeader`; 32 characters at least. */
  secrets?: readonly string[];
  /** `countersign-proxy-secret` unless said. */
  secretHeader?: string;
  /** `x5t#S256` of the certificates that the proxy itself presents. */
  thumbprints?: readonly string[];
}

/** Proofs of possession (RFC 9449). */
export interface DpopOptions {
  /** Where callers reach the API, such as `https://api.bank.example`; the origin of `audience` unless said. */
  origins?: readonly string[];
  /** With it proofs need a nonce, derived from these at least 32 bytes and the time: the same in all processes. */
  nonceSecret?: Uint8Array | string;
  /** Remembers proofs; in this process unless said. */
  replays?: ReplayMemory;
}

/** Where identifiers that may be used once are remembered. */
export interface ReplayMemory {
  /** Whether `id` (43 characters at most) comes for the first time; it may be forgotten after `expiresAt`. */
  firstUse(id: string, expiresAt: Date): boolean | Promise<boolean>;
}

/** How the API authenticates at the authorization server. */
export interface ApiClient {
  id: string;
  secret: string;
}

/** What a resource server is told once. */
export interface ResourceServerOptions {
  /** The authorization server, exactly as its tokens name it in `iss`: an https URL. */
  issuer: string;
  /** The identifier of this API, which tokens must name in `aud`. */
  audience: string;
  /** Fewer than all four. */
  algorithms?: readonly TokenAlgorithm[];
  /** Tokens without `cnf`, which whoever found one could use: refused unless said otherwise. */
  unboundTokens?: 'refuse' | 'accept';
  /** Seconds that the issuer's and callers' clocks may be ahead: 0 to 60; 15 unless said. */
  clockLeadSeconds?: number;
  /** The issuer's key set at another address than discovery says, such as that of the mTLS host. */
  keySetUrl?: string;
  /** Seconds for which keys are used on when they can't be fetched again; 3600 unless said. */
  staleKeysSeconds?: number;
  proxy?: ProxyOptions;
  dpop?: DpopOptions;
  /** Needed for introspection and consents. */
  client?: ApiClient;
  /** Which tokens are introspected (RFC 7662), at most once a second each: opaque ones where there is a `client`, unless said. */
  introspection?: 'never' | 'opaque' | 'always';
  /** Whether the consent that a token names must be authorised, asked at most once a second each. */
  consents?: boolean;
  /** Milliseconds for each answer of the issuer; 5000 unless said. */
  timeoutMs?: number;
  /** Reaches the issuer: for a client certificate, another trust store, or a proxy. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  now?: () => Date;
  /** Told of what is neither the caller's nor the token's fault. */
  onError?: (error: unknown) => void;
}

/** The options with everything that was left out. */
export interface Settings {
  issuer: string;
  audience: string;
  algorithms: readonly TokenAlgorithm[];
  unboundTokens: 'refuse' | 'accept';
  clockLeadSeconds: number;
  keySetUrl: string | undefined;
  staleKeysSeconds: number;
  proxy: ProxyOptions | undefined;
  dpop: { origins: readonly string[]; nonceSecret: Uint8Array | undefined };
  client: ApiClient | undefined;
  introspection: 'never' | 'opaque' | 'always';
  consents: boolean;
  timeoutMs: number;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  now: () => Date;
  onError: (error: unknown) => void;
}

const isSecret = (value: unknown) => isText(value) || value instanceof Uint8Array;

const optionShape: Shape<Required<ResourceServerOptions>> = {
  issuer: isText,
  audience: isText,
  algorithms: isTexts,
  unboundTokens: isOneOf('refuse', 'accept'),
  clockLeadSeconds: isNumber(0, 60),
  keySetUrl: isText,
  staleKeysSeconds: isNumber(0, Infinity),
  proxy: isRecord,
  dpop: isRecord,
  client: isRecord,
  introspection: isOneOf('never', 'opaque', 'always'),
  consents: isFlag,
  timeoutMs: isNumber(1, 600_000),
  fetch: isFunction,
  now: isFunction,
  onError: isFunction,
};

const proxyShape: Shape<Required<ProxyOptions>> = {
  header: isText,
  format: isOneOf('rfc9440', 'pem'),
  secrets: isTexts,
  secretHeader: isText,
  thumbprints: isTexts,
};

const dpopShape: Shape<Required<DpopOptions>> = {
  origins: isTexts,
  nonceSecret: isSecret,
  replays: isRecord,
};

/** Checks the options. TypeError for what could not be meant. */
export function settle(options: ResourceServerOptions): Settings {
  checkShapes(options);
  const { client } = options;
  const settings: Settings = {
    ...defaults,
    ...surroundings,
    introspection: client === undefined ? 'never' : 'opaque',
    ...withoutUndefined(options),
    dpop: settledDpop(options),
  };
  checkIssuer(options);
  checkAlgorithms(settings);
  const { introspection, consents, proxy } = settings;
  const asks = introspection !== 'never' || consents;
  expect(!asks || client !== undefined, 'client: needed for introspection and consents');
  if (proxy !== undefined) checkProxy(proxy);
  return settings;
}

const defaults = {
  algorithms: tokenAlgorithms,
  unboundTokens: 'refuse',
  clockLeadSeconds: 15,
  keySetUrl: undefined,
  staleKeysSeconds: 3600,
  proxy: undefined,
  client: undefined,
  consents: false,
  timeoutMs: 5000,
  onError: () => undefined,
} as const;

/** An option that is there without a value is left out, as for who does not use TypeScript. */
function withoutUndefined<T extends object>(options: T): T {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as T;
}

function checkShapes(options: ResourceServerOptions): void {
  const { proxy, dpop, client } = options;
  expectShape(options, optionShape);
  if (proxy !== undefined) expectShape(proxy, proxyShape, 'proxy.');
  if (dpop !== undefined) expectShape(dpop, dpopShape, 'dpop.');
  if (client === undefined) return;
  expectShape(client, { id: isText, secret: isText }, 'client.');
  expect(isText(client.id) && isText(client.secret), 'client: id and secret');
}

function checkAlgorithms({ algorithms }: Settings): void {
  expect(algorithms.length > 0, 'algorithms: none');
  for (const one of algorithms) expect(tokenAlgorithms.includes(one), `algorithms: ${one}`);
}

function checkIssuer({ issuer, audience, keySetUrl }: ResourceServerOptions): void {
  const url = URL.parse(issuer);
  const isBare = url?.protocol === 'https:' && url.search === '' && url.hash === '';
  expect(isBare, 'issuer: an https URL without query and fragment');
  // It stands in challenges as the realm.
  expect(isText(audience) && isPlain(audience), 'audience: printable, without quotes and spaces');
  const isHttps = keySetUrl === undefined || URL.parse(keySetUrl)?.protocol === 'https:';
  expect(isHttps, 'keySetUrl: an https URL');
}

const minSecretLength = 32;

function checkProxy({ secrets = [], thumbprints = [], ...proxy }: ProxyOptions): void {
  expect(isText(proxy.header), 'proxy.header: none');
  expect(isText(proxy.format), 'proxy.format: rfc9440 or pem');
  // Without either, anybody could write the header.
  expect(secrets.length + thumbprints.length > 0, 'proxy: secrets or thumbprints');
  for (const secret of secrets) {
    expect(secret.length >= minSecretLength, 'proxy.secrets: at least 32 characters');
  }
}

function settledDpop({ audience, dpop = {} }: ResourceServerOptions): Settings['dpop'] {
  const { nonceSecret } = dpop;
  const origins = dpop.origins ?? [URL.parse(audience)?.origin ?? 'null'];
  const isOrigin = (text: string) => URL.parse(text)?.origin === text && text !== 'null';
  // An audience that is no URL has no origin: then no proof fits until origins are given.
  if (dpop.origins !== undefined) {
    for (const origin of origins) expect(isOrigin(origin), `dpop.origins: ${origin}`);
  }
  const secret = typeof nonceSecret === 'string' ? Buffer.from(nonceSecret) : nonceSecret;
  const isLong = secret === undefined || secret.length >= minSecretLength;
  expect(isLong, 'dpop.nonceSecret: at least 32 bytes');
  return { origins: origins.filter(isOrigin), nonceSecret: secret };
}
