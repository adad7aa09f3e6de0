import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import Provider from 'oidc-provider';
import type { Adapter, AdapterPayload, ClientMetadata, ResourceServer } from 'oidc-provider';
import { routes } from '../src/provider/routes.ts';
import { createMutualTlsListener } from '../src/tls/listeners.ts';
import { answerParent } from './parts/channel.ts';
import { fapiMetadata, nativeRedirectUri, tppMetadata } from './parts/clients.ts';
import { usage } from './parts/server-calls.ts';
import type { LaneTokens, ServerCalls } from './parts/server-calls.ts';
import { accountsApi, laneCount, opaqueApi, readWorld } from './parts/world.ts';

/** oidc-provider alone: static clients, Maps for storage, its own signer; the TLS listener is the same. */
const [worldFile = ''] = process.argv.slice(2);
const world = readWorld(worldFile);
const { mtlsPort, issuer } = world.places.bare;
const accountId = 'casey';
const thirtyDays = 2_592_000;

const listenerOptions = {
  certificatePem: world.server.certificatePem,
  privateKeyPem: world.server.privateKeyPem,
  truststore: [world.authority.certificatePem],
  logger: { debug: () => undefined },
};
const provider = createBareProvider();
const handle = provider.callback();
const server = createMutualTlsListener(listenerOptions, (request, response) => {
  const isInteraction = request.url?.startsWith('/interaction/') === true;
  void (isInteraction ? allowAtOnce(request, response) : handle(request, response));
});
const listening = new Promise<void>((resolve) => server.listen(mtlsPort, '127.0.0.1', resolve));

answerParent<ServerCalls>({
  ready: () => listening,
  usage,
  mintedTokens: () => Promise.all(world.lanes.map((_, lane) => mintTokens(lane))),
  startTrace: () => undefined,
  stopTrace: () => [],
  verifyApiKeys: () => 0,
  pinKeys: () => undefined,
  swapKeys: () => 0,
});

function createBareProvider(): Provider {
  const certificates = new WeakMap<TLSSocket, X509Certificate>();
  return new Provider(issuer, {
    adapter: mapAdapter,
    clients: staticClients(),
    jwks: { keys: [world.signingKey, world.fapiKey] },
    cookies: { keys: [world.keys.cookie] },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: 'Casey Miller', email: 'casey@example.com' }),
    }),
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    clientAuthMethods: ['none', 'client_secret_basic', 'tls_client_auth'],
    routes: { ...routes },
    responseTypes: ['code'],
    issueRefreshToken: () => Promise.resolve(true),
    rotateRefreshToken: (ctx) => ctx.oidc.client?.clientAuthMethod === 'none',
    ttl: {
      AccessToken: 900,
      IdToken: 900,
      ClientCredentials: 900,
      RefreshToken: thirtyDays,
      Grant: thirtyDays,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // As ours: held to FAPI 2.0 is who registered for it.
      fapi: {
        enabled: true,
        profile: (_ctx, client) => (client.clientId.startsWith('fapi-') ? '2.0' : undefined),
      },
      pushedAuthorizationRequests: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate({ req: { socket } }) {
          if (!(socket instanceof TLSSocket)) return undefined;
          const certificate = certificates.get(socket) ?? socket.getPeerX509Certificate();
          if (certificate !== undefined) certificates.set(socket, certificate);
          return certificate;
        },
        certificateAuthorized: ({ req: { socket } }) =>
          socket instanceof TLSSocket && socket.authorized,
        certificateSubjectMatches: ({ req: { socket } }, _property, expected) =>
          socket instanceof TLSSocket && certificates.get(socket)?.subject === expected,
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => resourceServer(resource),
      },
    },
  });
}

function resourceServer(resource: string): ResourceServer {
  if (resource === opaqueApi) {
    return { scope: 'statements', audience: resource, accessTokenFormat: 'opaque' };
  }
  return {
    scope: 'accounts payments',
    audience: resource,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  };
}

/** As many as take turns at ours; all that one lane asks for share its certificate. */
function staticClients(): ClientMetadata[] {
  const subjects = world.lanes.map((one) => new X509Certificate(one.certificatePem).subject);
  const numbered = (
    prefix: string,
    metadata: typeof tppMetadata | typeof fapiMetadata,
    count: number,
  ) =>
    Array.from({ length: count }, (_, number) => ({
      ...metadata,
      redirect_uris: [...metadata.redirect_uris],
      grant_types: [...metadata.grant_types],
      client_id: `${prefix}-${String(number)}`,
      tls_client_auth_subject_dn: subjects[number % laneCount] ?? '',
      tls_client_certificate_bound_access_tokens: true,
    }));
  return [
    ...numbered('tpp', tppMetadata, world.places.bare.clients),
    ...numbered('fapi', fapiMetadata, laneCount),
    {
      client_id: 'app',
      application_type: 'native',
      redirect_uris: [nativeRedirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    },
    {
      client_id: 'opaque-rs',
      client_secret: world.secrets['opaque-rs'],
      redirect_uris: [],
      response_types: [],
      grant_types: [],
    },
  ];
}

async function mintTokens(lane: number): Promise<LaneTokens> {
  const tppId = `tpp-${String(lane)}`;
  const tpp = await grantTo(tppId);
  const app = await grantTo('app');
  return {
    refreshToken: await new provider.RefreshToken(tpp).save(),
    rotatingToken: await new provider.RefreshToken(app).save(),
    opaqueToken: await new provider.AccessToken({
      ...tpp,
      scope: 'statements',
      aud: opaqueApi,
    }).save(),
    userinfoToken: await new provider.AccessToken({ ...tpp, scope: 'openid profile' }).save(),
    ownToken: '',
    jwt: '',
  };
}

async function grantTo(clientId: string) {
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error(`no client ${clientId}`);
  const grantId = await allow(clientId);
  return {
    accountId,
    client,
    grantId,
    gty: 'authorization_code',
    scope: 'openid profile accounts',
    resource: accountsApi,
    claims: {},
  };
}

/** In place of pages: the customer is logged in and has allowed everything. What follows has a session as ours has. */
async function allowAtOnce(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { params } = await provider.interactionDetails(request, response);
  const grantId = await allow(String(params['client_id']));
  await provider.interactionFinished(request, response, {
    login: { accountId },
    consent: { grantId },
  });
}

function allow(clientId: string): Promise<string> {
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope('openid profile');
  grant.addResourceScope(accountsApi, 'accounts');
  grant.addResourceScope(opaqueApi, 'statements');
  return grant.save();
}

/** The least that oidc-provider needs to store. */
function mapAdapter(): Adapter {
  const stored = new Map<string, AdapterPayload>();
  const idsByUid = new Map<string, string>();
  return {
    upsert(id, payload) {
      stored.set(id, payload);
      if (payload.uid !== undefined) idsByUid.set(payload.uid, id);
      return Promise.resolve();
    },
    find: (id) => Promise.resolve(stored.get(id)),
    findByUid: (uid) => Promise.resolve(stored.get(idsByUid.get(uid) ?? '')),
    findByUserCode: () => Promise.resolve(undefined),
    consume(id) {
      const payload = stored.get(id);
      if (payload !== undefined) payload.consumed = Math.floor(performance.timeOrigin / 1000);
      return Promise.resolve();
    },
    destroy: (id) => Promise.resolve(void stored.delete(id)),
    revokeByGrantId: () => Promise.resolve(),
  };
}
