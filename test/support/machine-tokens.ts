import { decodeJwt, decodeProtectedHeader } from 'jose';
import Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { vi } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { PolicyRule } from '../../src/rate-limits/policy.ts';
import {
  clientCertificate,
  createTestCertificates,
  expiredClientCertificate,
} from './certificates.ts';
import { auditOf, post } from './protocol.ts';
import type { Answer } from './protocol.ts';
import { policyFile } from './rate-limits.ts';
import { accountsApi, opaqueApi, startAuthorizationServer, tppSubject } from './server.ts';
import type { AuthorizationServer } from './server.ts';

const limited: Partial<PolicyRule> = {
  ...{ name: 'client', per: 'client', groups: ['token'], counts: 'requests' },
  ...{ algorithm: 'fixed-window', limit: 5, slack: 0, windowSeconds: 86_400 },
  whenStoreIsDown: 'local',
};

/** A resource server whose algorithm has a key that is published and signs no more. */
export const unsignedApi = 'https://unsigned.example.com';
/** A resource server with a scope that reads like the name of a consent. */
export const oddApi = 'https://odd.example.com';

const resourceServers = [
  {
    ...{ identifier: unsignedApi, name: 'Unsigned API', signingAlgorithm: 'ES256' },
    scopes: { read: { en: 'Read' } },
  },
  {
    ...{ identifier: oddApi, name: 'Odd API', accessTokenTtlSeconds: 61 },
    scopes: { read: { en: 'Read' }, 'consent:all': { en: 'Read all' } },
  },
];

const permissions = {
  ...{ [accountsApi]: ['accounts', 'payments'], [opaqueApi]: ['statements'] },
  ...{ [unsignedApi]: ['read'], [oddApi]: ['read', 'consent:all'] },
};

/** A client that authenticates by the certificate of {@link AuthorizationServer.tpp}. */
function client(client_id: string, metadata: Record<string, unknown> = {}) {
  const usual = {
    redirect_uris: [],
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: tppSubject,
  };
  return { metadata: { ...usual, client_id, ...metadata }, permissions };
}

/** Parameters in their order; a name may come twice. */
export type Pairs = [string, string][];

interface MachineRequest {
  pairs: Pairs;
  certificate?: IssuedCertificate | undefined;
  headers?: Record<string, string>;
}

/** A server with many clients that share a certificate, and a limit of five requests a day for each. */
export async function startMachineServer() {
  const policy = await policyFile([limited]);
  const code = { grant_types: ['authorization_code'], redirect_uris: ['https://a.test/b'] };
  const server = await startAuthorizationServer({
    environment: { COUNTERSIGN_RATE_LIMIT_POLICY: policy.file },
    retiredAlgorithms: ['ES256'],
    resourceServers,
    clients: [
      client('often'),
      ...Array.from({ length: 500 }, (_, number) => client(`free-${String(number)}`)),
      client('code', code),
      client('proved', { dpop_bound_access_tokens: true }),
      client('unfit', { security_profile: 'fapi2' }), // it would have to name its algorithms
    ],
  });
  const { authority } = server.certificates;
  const others = await createTestCertificates();
  const certificates = {
    tpp: server.tpp,
    other: await clientCertificate(authority, { subject: 'CN=somebody else' }),
    foreign: await clientCertificate(others.authority, { subject: tppSubject }),
    expired: await expiredClientCertificate(authority, { subject: tppSubject }),
  };
  let used = 0;
  return {
    server,
    certificates,
    /** A client that the limit has not met yet. */
    fresh() {
      used += 1;
      return `free-${String(used)}`;
    },
    ask({ pairs, certificate = certificates.tpp, headers = {} }: MachineRequest): Promise<Answer> {
      const url = `${server.mtlsOrigin}/token`;
      return post(server.fetch(certificate), url, { form: pairs, headers });
    },
    async stop() {
      await server.stop();
      await policy.remove();
    },
  };
}

export type MachineServer = Awaited<ReturnType<typeof startMachineServer>>;

/** A request that says nothing but the ordinary. */
export const plainPairs = (client_id: string): Pairs => [
  ['grant_type', 'client_credentials'],
  ['client_id', client_id],
  ['scope', 'accounts'],
];

/** RFC 6749 §3.2: unknown parameters are ignored. So what has one means the same, but is not plain. */
export const ignored: [string, string] = ['countersign_test', '1'];

/** How often the engine issued a token to this client meanwhile; others' requests may still be under way. */
export async function issuedByEngine(id: string, work: () => Promise<unknown>): Promise<number> {
  const emit = vi.spyOn(Provider.prototype, 'emit');
  try {
    await work();
    return emit.mock.calls.filter(
      ([event, ctx]) =>
        event === 'grant.success' && (ctx as KoaContextWithOIDC).oidc.client?.clientId === id,
    ).length;
  } finally {
    emit.mockRestore();
  }
}

const unlike = ['date', 'x-request-id', 'content-length', 'vary', 'dpop-nonce'];

/** All of an answer that has no reason to be another the next time; without what tells scripts of other origins. */
export function comparable({ status, headers, body }: Answer) {
  const { access_token: token, ...members } = body;
  const said = typeof token === 'string' && token.startsWith('ey') ? tokenIn(token) : undefined;
  const kept = [...headers].filter(
    ([name]) => !unlike.includes(name) && !name.startsWith('access-control-'),
  );
  const timeless = kept.map(([name, value]) => [name, value.replace(/;t=\d+/, '')] as const);
  return { status, members, order: Object.keys(body), said, headers: Object.fromEntries(timeless) };
}

export function tokenIn(token: string) {
  const { jti, iat = 0, exp = 0, ...claims } = decodeJwt(token);
  return { header: decodeProtectedHeader(token), claims, lives: exp - iat, id: jti?.length };
}

/** The audit of a request without what is another each time. */
export async function auditedAs(server: AuthorizationServer, answer: Answer) {
  return (await auditOf(server, answer)).map((event) => {
    const { type, outcome, client_id, detail } = event;
    const { jti, digest, ...facts } = detail;
    const { actor_type: actor, customer_id: customer } = event as unknown as Record<
      string,
      unknown
    >;
    const ids = [typeof jti, typeof digest];
    return { type, outcome, actor, customer, isOfClient: client_id !== null, ids, facts };
  });
}

/** A comparable thing with the client's own name left out, as each request has one of its own. */
export function withoutName(value: unknown, id: string): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(`"${id}"`, '"its own"'));
}

/** What the log says of the request with this id, without what is another each time. */
export async function lineOf({ log }: AuthorizationServer, requestId: string | null | undefined) {
  const lines = await log.lines();
  const found = lines.filter(
    (line) => line.message === 'Request' && line['requestId'] === requestId,
  );
  if (found.length !== 1) throw new Error(`${String(found.length)} lines of a request`);
  const { route, path, status, listener, reason, events } = (found[0] ?? {}) as Record<
    string,
    unknown
  >;
  const types = (events as { type: string }[] | undefined)?.map(({ type }) => type);
  return { route, path, status, listener, reason, types };
}
