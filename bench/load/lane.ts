import { createHash, randomBytes } from 'node:crypto';
import { nativeRedirectUri, redirectUri } from '../parts/clients.ts';
import type { LaneTokens } from '../parts/server-calls.ts';
import { accountsApi, activeClients, laneCount, opaqueApi } from '../parts/world.ts';
import type { Place, World } from '../parts/world.ts';
import { createBrowser } from './browser.ts';
import type { Browser } from './browser.ts';
import { openConnection } from './connection.ts';
import { makeApiKey } from './keys.ts';
import type { Answer, Connection } from './connection.ts';

/** One of the callers that work side by side: its connections, tokens and signed-in customer. */
export interface Lane {
  /** The connection without and the one with a client certificate. */
  plain: Connection;
  mutual: Connection;
  tokens: LaneTokens;
  /** A customer who is signed in and has allowed everything. */
  signedIn: Browser;
  /** A browser that nobody has used. */
  newBrowser: () => Browser;
  /** The next client whose turn it is; all of them use this lane's certificate. */
  nextClient: () => string;
  /** After so many every client had its turn; as many where there are fewer, whose server would come colder to a slot. */
  turns: number;
  /** The client of the customer's tokens. */
  client: string;
  /** The one that is held to FAPI 2.0; it has the same certificate. */
  fapiClient: string;
  /** Consents that the lane has lodged, whose state is asked for in turn. */
  consents: string[];
  /** A key of the client's. */
  apiKey: string;
  /** What a proxy tells the edge of a caller with the lane's certificate, besides its credential. */
  proxied: (method: string, target: string) => Record<string, string>;
  /** HTTP Basic of a resource server. */
  basic: (id: 'accounts-rs' | 'opaque-rs') => Record<string, string>;
}

/** Connects lane `index` to a server, and gets its tokens as any client would unless they are given. */
export async function createLane(
  { world, place }: { world: World; place: Place },
  index: number,
  minted: LaneTokens | undefined,
): Promise<Lane> {
  const ca = world.authority.certificatePem;
  const { port, mtlsPort, issuer, mtlsOrigin } = place;
  const certificate = world.lanes[index];
  const customer = world.customers[index];
  if (certificate === undefined || customer === undefined)
    throw new Error(`there is no lane ${String(index)}`);
  const atMutual = minted === undefined ? mtlsOrigin : issuer;
  const mutual = openConnection({ port: mtlsPort, origin: atMutual, ca, certificate });
  const plain = minted === undefined ? openConnection({ port, origin: issuer, ca }) : mutual;
  const newBrowser = () => createBrowser({ connection: plain, origin: issuer, customer });
  const presented = encodeURIComponent(certificate.certificatePem); // as NGINX tells it
  let turn = index - laneCount;
  const lane: Lane = {
    plain,
    mutual,
    tokens: minted ?? { ...noTokens },
    signedIn: newBrowser(),
    newBrowser,
    client: `tpp-${String(index)}`,
    fapiClient: `fapi-${String(index)}`,
    consents: [],
    apiKey: '',
    turns: Math.ceil(activeClients / laneCount),
    nextClient() {
      turn = turn + laneCount < place.clients ? turn + laneCount : index;
      return `tpp-${String(turn)}`;
    },
    proxied: (method, target) => ({
      'countersign-proxy-secret': world.proxySecret,
      'x-forwarded-for': '192.0.2.1',
      'x-original-method': method,
      'x-original-uri': target,
      'ssl-client-cert': presented,
    }),
    basic(id) {
      const pair = Buffer.from(`${id}:${world.secrets[id]}`).toString('base64');
      return { authorization: `Basic ${pair}` };
    },
  };
  if (minted === undefined) await obtainTokens(lane);
  return lane;
}

const noTokens: LaneTokens = {
  refreshToken: '',
  rotatingToken: '',
  opaqueToken: '',
  userinfoToken: '',
  ownToken: '',
  jwt: '',
};

/** What a client asks a customer for. */
export interface Wish {
  client: string;
  redirect: string;
  resource: string;
  scope: string;
}

async function obtainTokens(lane: Lane): Promise<void> {
  const { client, tokens, signedIn } = lane;
  const resource = accountsApi;
  const scope = 'openid profile accounts';
  const own = await authorizeAndExchange(lane, signedIn, accountsWish(lane));
  tokens.refreshToken = own.refresh_token;
  tokens.jwt = own.access_token;
  tokens.userinfoToken = own.access_token;
  const statements = { client, redirect: redirectUri, resource: opaqueApi, scope: 'statements' };
  tokens.opaqueToken = (await authorizeAndExchange(lane, signedIn, statements)).access_token;
  const form = { grant_type: 'client_credentials', client_id: client, scope: 'accounts', resource };
  tokens.ownToken = tokensIn(await lane.mutual.post('/token', form)).access_token;
  await fillConsents(lane);
  const managing = await lane.mutual.post('/token', { ...form, scope: 'api-keys' });
  lane.apiKey = await makeApiKey(lane.mutual, tokensIn(managing).access_token);
  const app = { client: 'app', redirect: nativeRedirectUri, resource, scope };
  tokens.rotatingToken = (await authorizeAndExchange(lane, signedIn, app)).refresh_token;
}

const consentsOfLane = 50;

async function fillConsents(lane: Lane): Promise<void> {
  for (let count = 0; count < consentsOfLane; count += 1) {
    lane.consents.push(await lodgeConsent(lane));
  }
}

const consentRequest = JSON.stringify({
  Data: {
    Permissions: ['ReadAccountsDetail', 'ReadBalances'],
    ExpirationDateTime: '2099-01-01T00:00:00Z',
  },
  Risk: {},
});

/** A new consent's id. */
export async function lodgeConsent({ mutual, tokens }: Lane): Promise<string> {
  const path = '/open-banking/v4.0/aisp/account-access-consents';
  const authorization = `Bearer ${tokens.ownToken}`;
  const { status, text } = await mutual.postJson(path, consentRequest, { authorization });
  if (status !== 201) throw new Error(`status ${String(status)}: ${text}`);
  return (JSON.parse(text) as { Data: { ConsentId: string } }).Data.ConsentId;
}

/** What the lane's own client asks for, time and again. */
export function accountsWish({ client }: Lane): Wish {
  return wishOf(client);
}

/** Access to accounts, for a client that is a web site. */
export function wishOf(client: string): Wish {
  const scope = 'openid profile accounts';
  return { client, redirect: redirectUri, resource: accountsApi, scope };
}

/** The tokens of a code exchange or refresh. */
export interface Tokens {
  access_token: string;
  refresh_token: string;
}

/** A whole authorization: through the browser to a code, and with the code to tokens. */
export async function authorizeAndExchange(
  lane: Lane,
  browser: Browser,
  wish: Wish,
): Promise<Tokens> {
  const request = newRequest(wish);
  const query = new URLSearchParams(request.parameters);
  const callback = await browser.authorize(`/authorize?${query.toString()}`);
  return exchangeCode(lane, callback, request);
}

/** An authorization request, and what its code is exchanged with. */
export interface CodeRequest {
  parameters: Record<'client_id' | 'redirect_uri', string> & Record<string, string>;
  verifier: string;
}

export function newRequest({ client, redirect, resource, scope }: Wish): CodeRequest {
  const verifier = randomBytes(32).toString('base64url');
  const parameters = {
    response_type: 'code',
    client_id: client,
    redirect_uri: redirect,
    scope,
    resource,
    state: 'state',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  };
  return { parameters, verifier };
}

/** With the code in the redirect to the client, its tokens. */
export async function exchangeCode(
  lane: Lane,
  callback: URL,
  { parameters: { client_id: client, redirect_uri: redirect }, verifier }: CodeRequest,
): Promise<Tokens> {
  const code = callback.searchParams.get('code');
  if (code === null) throw new Error(`no code but ${callback.href}`);
  const form = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirect,
    code_verifier: verifier,
    client_id: client,
  };
  const connection = client === 'app' ? lane.plain : lane.mutual;
  return tokensIn(await connection.post('/token', form));
}

/** The members of a 200 answer; throws at any other. */
export function tokensIn(answer: Answer): Tokens {
  expectOk(answer);
  return JSON.parse(answer.text) as Tokens;
}

/** A figure is worth nothing when errors are among the answers. */
export function expectOk({ status, text }: Answer): void {
  if (status !== 200) throw new Error(`status ${String(status)}: ${text}`);
}
