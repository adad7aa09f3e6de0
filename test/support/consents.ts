import { randomBytes } from 'node:crypto';
import * as openid from 'openid-client';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from './certificates.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { authorizationRequest, discover } from './openid.ts';
import { basic, post } from './protocol.ts';
import { startAuthorizationServer } from './server.ts';
import type { AuthorizationServer, ServerOptions } from './server.ts';

/** The bank's API, whose tokens open the consent APIs as well. */
export const bankApi = 'https://bank-api.example.com';
/** The same with opaque tokens. */
export const opaqueBankApi = 'https://opaque-bank-api.example.com';

export const ukAccess = '/open-banking/v4.0/aisp/account-access-consents';
export const ukPayments = '/open-banking/v4.0/pisp/domestic-payment-consents';
export const ukFunds = '/open-banking/v4.0/cbpii/funds-confirmation-consents';
export const plainConsents = '/consents/v1';

const scopes = {
  accounts: { en: 'See your accounts', de: 'Ihre Konten sehen' },
  payments: { en: 'Start payments' },
  fundsconfirmations: { en: 'Confirm funds' },
  consents: { en: 'Lodge consents' },
  events: { en: 'Fetch events' },
};

/** A client with a certificate, and a token for each scope that it asked for. */
export interface Tpp {
  id: string;
  certificate: IssuedCertificate;
  configuration: openid.Configuration;
  redirectUri: string;
  token(scope: string): Promise<string>;
  /** A call at the mTLS host with a token of `scope`. */
  call(method: string, path: string, call: TppCall): Promise<TppAnswer>;
}

export interface TppCall {
  scope?: string;
  token?: string;
  body?: unknown;
  text?: string;
  headers?: Record<string, string>;
  /** Another client's. */
  certificate?: IssuedCertificate;
  /** Another process on the same data. */
  at?: AuthorizationServer;
}

export interface TppAnswer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

export interface ConsentServer {
  server: AuthorizationServer;
  tpp: Tpp;
  /** Another client that may do the same. */
  other: Tpp;
  /** What the resource servers authenticate with, as "bank-rs" and "opaque-bank-rs". */
  serverSecret: string;
  /** The same data and keys in another process. */
  beside(): Promise<AuthorizationServer>;
}

const subjectOf = (id: string) => `CN=${id},O=${id} Ltd,C=GB`;
const redirectOf = (id: string) => `https://${id}.example.com/callback`;

const permissions = Object.fromEntries(
  [bankApi, opaqueBankApi].map((api) => [api, Object.keys(scopes)]),
);

const clients = [
  ...['aisp', 'other'].map((id) => ({
    metadata: {
      client_id: id,
      client_name: id === 'aisp' ? 'Example Money' : 'Other Money',
      redirect_uris: [redirectOf(id)],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: subjectOf(id),
      tls_client_certificate_bound_access_tokens: true,
      ...(id === 'aisp' && {
        authorization_details_types: ['account_information', 'payment_initiation'],
      }),
    },
    permissions,
  })),
  ...['bank-rs', 'opaque-bank-rs'].map((id) => ({
    metadata: { client_id: id, grant_types: [], token_endpoint_auth_method: 'client_secret_basic' },
    clientSecretFile: import.meta.filename,
  })),
];

const resourceServers = [
  { identifier: bankApi, name: 'Bank API', introspectionClientId: 'bank-rs', scopes },
  {
    identifier: opaqueBankApi,
    name: 'Opaque Bank API',
    accessTokenFormat: 'opaque',
    introspectionClientId: 'opaque-bank-rs',
    scopes,
  },
];

/** What processes beside the server are told as well. */
export const consentEnvironment = {
  COUNTERSIGN_CONSENTS_RESOURCE: bankApi,
  COUNTERSIGN_DEFAULT_RESOURCE: bankApi,
};

/** A server with two clients that may lodge consents. */
export async function startConsentServer(options: ServerOptions = {}): Promise<ConsentServer> {
  const all = { ...options, environment: { ...consentEnvironment, ...options.environment } };
  const server = await startAuthorizationServer({
    ...all,
    clients: [...clients, ...(options.clients ?? [])],
    resourceServers,
  });
  const serverSecret = randomBytes(32).toString('base64url');
  for (const id of ['bank-rs', 'opaque-bank-rs']) {
    await server.running.app.clients.setSecret(id, serverSecret);
  }
  return {
    server,
    tpp: await tppOf(server, 'aisp'),
    other: await tppOf(server, 'other'),
    serverSecret,
    beside: () => startAuthorizationServer({ ...all, beside: server }),
  };
}

async function tppOf(server: AuthorizationServer, id: string): Promise<Tpp> {
  const subject = subjectOf(id);
  const certificate = await clientCertificate(server.certificates.authority, { subject });
  const configuration = await discover(server, {
    ...{ id, certificate, authentication: openid.TlsClientAuth() },
  });
  const tokens = new Map<string, string>();

  async function token(scope: string): Promise<string> {
    const known = tokens.get(scope);
    if (known !== undefined) return known;
    const answer = await openid.clientCredentialsGrant(configuration, { scope });
    tokens.set(scope, answer.access_token);
    return answer.access_token;
  }

  return {
    ...{ id, certificate, configuration, token, redirectUri: redirectOf(id) },
    async call(method, path, call) {
      const bearer = call.token ?? (call.scope === undefined ? '' : await token(call.scope));
      const at = call.at ?? server;
      const response = await at.fetch(call.certificate ?? certificate)(server.mtlsOrigin + path, {
        method,
        headers: {
          ...(bearer === '' ? {} : { authorization: `Bearer ${bearer}` }),
          ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
          ...call.headers,
        },
        ...bodyOf(call),
      });
      const text = await response.text();
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
      return { status: response.status, headers: response.headers, body };
    },
  };
}

function bodyOf({ body, text }: TppCall): { body?: string } {
  if (text !== undefined) return { body: text };
  return body === undefined ? {} : { body: JSON.stringify(body) };
}

/** A UK account access request. */
export const accessRequest = {
  Data: {
    Permissions: [
      'ReadAccountsDetail',
      'ReadBalances',
      'ReadTransactionsDetail',
      'ReadTransactionsDebits',
    ],
    ExpirationDateTime: '2027-11-22T00:00:00+00:00',
    TransactionFromDateTime: '2026-01-01T00:00:00+00:00',
  },
  Risk: {},
};

/** A UK domestic payment request. */
export const paymentRequest = {
  Data: {
    Initiation: {
      InstructionIdentification: 'ACME412',
      EndToEndIdentification: 'FRESCO.21302.GFX.20',
      InstructedAmount: { Amount: '165.88', Currency: 'GBP' },
      CreditorAccount: {
        SchemeName: 'UK.OBIE.SortCodeAccountNumber',
        Identification: '08080021325698',
        Name: 'ACME Inc',
      },
      RemittanceInformation: { Unstructured: ['Internal ops code 5120101'] },
    },
  },
  Risk: { PaymentContextCode: 'EcommerceMerchantInitiatedPayment' },
};

/** The id of a newly lodged UK consent. */
export async function lodgeAccess(tpp: Tpp): Promise<string> {
  const { body } = await tpp.call('POST', ukAccess, { scope: 'accounts', body: accessRequest });
  return String((body['Data'] as Record<string, unknown>)['ConsentId']);
}

export async function lodgePayment(tpp: Tpp): Promise<string> {
  const headers = { 'x-idempotency-key': randomBytes(8).toString('hex') };
  const call = { scope: 'payments', body: paymentRequest, headers };
  const { body } = await tpp.call('POST', ukPayments, call);
  return String((body['Data'] as Record<string, unknown>)['ConsentId']);
}

/** Status in the UK's code. */
export async function ukStatusOf(tpp: Tpp, id: string, path = ukAccess): Promise<unknown> {
  const scope = path === ukAccess ? 'accounts' : 'payments';
  const { body } = await tpp.call('GET', `${path}/${id}`, { scope });
  return (body['Data'] as Record<string, unknown> | undefined)?.['Status'];
}

/** An authorization request that names a consent as the UK does. */
export function intentRequest(tpp: Tpp, consentId: string, more: Record<string, string> = {}) {
  const intent = { openbanking_intent_id: { value: consentId, essential: true } };
  return authorizationRequest(tpp.configuration, {
    redirect_uri: tpp.redirectUri,
    scope: 'openid accounts',
    claims: JSON.stringify({ id_token: intent, userinfo: intent }),
    ...more,
  });
}

/** A browser whose customer has logged in and stands on the consent page of `url`. */
export async function consentPageOf(
  server: AuthorizationServer,
  url: string,
  agent: CustomerAgent = createCustomerAgent(server),
): Promise<{ agent: CustomerAgent; page: Page }> {
  const page = await agent.open(url);
  if (!page.html.includes('name="password"')) return { agent, page };
  const { username, password } = server.customer;
  return { agent, page: await agent.submit(page, { username, password, action: 'login' }) };
}

/** The form fields that choose the first account of a consent page. */
export function chooseFirst({ html }: Page): Record<string, string> {
  const name = /name="(account:[^"]+)"/.exec(html)?.[1];
  const value = /name="account" value="([^"]+)"/.exec(html)?.[1];
  if (name !== undefined) return { [name]: 'on' };
  return value === undefined ? {} : { account: value };
}

/** What {@link journeysOf} tells apart: the resource server that asks. */
type Asker = 'bank-rs' | 'opaque-bank-rs';

/** What tests do with the consents of `world.tpp`, once the server runs. */
export function journeysOf({ server, tpp, serverSecret }: ConsentServer) {
  /** A customer allows the consent with their first account. */
  async function authorise(id: string, more: Record<string, string> = {}) {
    const request = await intentRequest(tpp, id, more);
    const { agent, page } = await consentPageOf(server, request.url);
    const done = await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
    const callback = new URL(done.url);
    return { agent, page, callback, request };
  }

  return {
    authorise,

    async tokensUnder(id: string, more: Record<string, string> = {}) {
      const { agent, callback, request } = await authorise(id, more);
      const { configuration } = tpp;
      const tokens = await openid.authorizationCodeGrant(configuration, callback, request.checks);
      return { agent, tokens, refreshToken: tokens.refresh_token ?? '' };
    },

    async introspect(token: string, as: Asker, at = server) {
      const headers = basic(as, serverSecret);
      const url = `${server.issuer}/introspect`;
      return (await post(at.fetch(), url, { form: { token }, headers })).body;
    },
  };
}
