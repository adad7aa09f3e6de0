import type { JSONWebKeySet, JWK } from 'jose';
import type Koa from 'koa';
import Provider from 'oidc-provider';
import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { RequestContext } from '../observability/request-context.ts';
import type { CertificateSource } from '../tls/certificate-source.ts';
import { accountShare } from './accounts.ts';
import { algorithmShare } from './algorithms.ts';
import type { ArtifactStore } from './artifact-store.ts';
import { certificateShare } from './certificates.ts';
import {
  clientAuthenticationShare,
  overrideClientAuthentication,
} from './client-authentication.ts';
import { hostAutomaticForms } from './automatic-forms.ts';
import { boundParameters } from './bounded-parameters.ts';
import { clientAdapter } from './client-adapter.ts';
import { rememberClients } from './client-instances.ts';
import { boundKeySets } from './client-key-sets.ts';
import { discoveryShare } from './discovery.ts';
import { authorizationDetailsShare, withConsents } from './consent-grants.ts';
import { dpopShare, expectCalledHost } from './dpop.ts';
import type { DpopPolicy } from './dpop.ts';
import { nameUnauthorizedClients } from './error-codes.ts';
import { recordAnswer, recordEvents } from './events.ts';
import { passOnServerErrors } from './server-errors.ts';
import { interactionShare } from './interactions.ts';
import { introspectionShare } from './introspection.ts';
import { withJwtAccessTokens } from './jwt-access-tokens.ts';
import { lifetimeShare } from './lifetimes.ts';
import { mergeShares } from './merge-shares.ts';
import { outboundShare } from './outbound.ts';
import type { Fetch } from './outbound.ts';
import { pageShare } from './pages.ts';
import type {
  Clients,
  Consents,
  Customers,
  Lifetimes,
  ProviderPages,
  Recorder,
  ResourceServers,
} from './ports.ts';
import { protocolShare } from './protocol.ts';
import { answerRetries } from './refresh-retries.ts';
import type { ReplayListener, RetryPolicy } from './refresh-retries.ts';
import { requestShare } from './request-rules.ts';
import type { RequestPolicy } from './request-rules.ts';
import { resourceShare } from './resources.ts';
import { routes } from './routes.ts';
import { securityProfileShare } from './security-profile.ts';
import { signErrors } from './signed-errors.ts';
import { demandSignedIntrospection, signedIntrospectionShare } from './signed-introspection.ts';
import { algorithmsThatSign, signingKeyShare } from './signing-key.ts';
import type { SingleUseStore } from './single-use-store.ts';
import { stepAt, stepUnlessEngine } from './steps.ts';
import { nameOpenidScopes, tokenShare } from './tokens.ts';
import { markStructuredTokens } from './unstructured.ts';

/** Everything that the OpenID engine stands on. */
export interface ProviderDependencies extends RetryPolicy {
  issuer: string;
  mtlsOrigin: string;
  /** Whether clients may register; discovery says so. */
  offersRegistration: boolean;
  cookieKeys: readonly string[];
  pairwiseSalt: Buffer;
  defaultResource: string | undefined;
  dpop: DpopPolicy;
  requests: RequestPolicy;
  lifetimes: Lifetimes;
  artifacts: ArtifactStore;
  /** Told when a single-use artifact is presented again. */
  onReplay: ReplayListener;
  singleUse: SingleUseStore;
  clients: Clients;
  resourceServers: ResourceServers;
  customers: Customers;
  consents: Consents;
  /** Whether what consents are about is given under one only. */
  consentsRequired: boolean;
  pages: ProviderPages;
  outboundFetch: Fetch;
  audit: Recorder;
  metrics: Metrics;
  logger: Logger;
  clock: Clock;
  currentRequest: () => RequestContext | undefined;
  /** Which client certificate a request carries. */
  certificates: Pick<CertificateSource, 'of'>;
}

/** The longest that an access token may live: 15 minutes (row P3). */
const longestAccessTokenSeconds = 900;

/**
 * The OpenID engine for one set of signing keys. oidc-provider freezes its keys, so a rotation builds another instance
 * and swaps it in: everything that an instance needs is set here and nowhere else.
 */
export function createProvider(privateKeys: readonly JWK[], deps: ProviderDependencies): Provider {
  const algorithms = algorithmsThatSign(privateKeys);
  const provider: Provider = new Provider(
    deps.issuer,
    mergeShares([
      signingKeyShare(privateKeys),
      { adapter: adapterFactory(privateKeys, deps) },
      protocolShare(deps.cookieKeys),
      accountShare(deps.customers, deps.consents),
      authorizationDetailsShare(deps.consents),
      certificateShare(deps),
      algorithmShare(algorithms),
      clientAuthenticationShare(deps.clock),
      discoveryShare(deps),
      dpopShare(deps.dpop, deps.clock),
      interactionShare(deps),
      introspectionShare(deps),
      lifetimeShare(deps.lifetimes, deps.clock, { ...deps, algorithms }),
      outboundShare(deps.outboundFetch),
      pageShare(deps.pages),
      requestShare(deps.requests, deps.clock),
      securityProfileShare(),
      signedIntrospectionShare(),
      resourceShare({ ...deps, algorithms }),
      tokenShare({ ...deps, userinfoAudience: userinfoOf(deps) }),
    ]),
  );
  expectCalledHost(provider, deps);
  overrideClientAuthentication(provider, deps);
  boundParameters(provider);
  signErrors(provider);
  boundKeySets(provider, deps);
  rememberClients(provider, deps.clients); // around it: a client that is remembered was bounded before
  nameOpenidScopes(provider);
  recordEvents(provider, deps);
  provider.use(passOnServerErrors(provider, deps.logger));
  for (const step of stepsAround(provider, deps)) provider.use(step);
  return provider;
}

/** What is done before or after the engine's own work, the outermost first, and where. */
function stepsAround(provider: Provider, deps: ProviderDependencies): Koa.Middleware[] {
  const { token, introspection, revocation, userinfo } = routes;
  return [
    stepAt([token], nameUnauthorizedClients),
    stepUnlessEngine(hostAutomaticForms(deps.pages)),
    stepAt([introspection, revocation, userinfo], async function recordAnswers(ctx, next) {
      await next();
      const reached = ctx as Partial<KoaContextWithOIDC>;
      if (reached.oidc !== undefined) recordAnswer(ctx as KoaContextWithOIDC, deps.audit);
    }),
    stepAt([introspection], demandSignedIntrospection(provider)),
    stepAt([token], answerRetries(deps)),
    stepAt([introspection, revocation], markStructuredTokens),
  ];
}

function userinfoOf({ issuer }: ProviderDependencies): string {
  return issuer + routes.userinfo;
}

function adapterFactory(
  privateKeys: readonly JWK[],
  deps: ProviderDependencies,
): (kind: string) => Adapter {
  const jwtDependencies = {
    issuer: deps.issuer,
    userinfoAudience: userinfoOf(deps),
    publicKeys: publicKeySet(privateKeys),
    singleUse: deps.singleUse,
    clock: deps.clock,
    longestTtlSeconds: longestAccessTokenSeconds,
    async standingGrant(grantId: string, jti: string) {
      const grant = await deps.artifacts.findGrantOf({ grantId, jti });
      if (grant?.accountId === undefined) return undefined;
      const openid = grant['openid'] as { claims?: string[] } | undefined;
      return { customerId: grant.accountId, claims: openid?.claims ?? [] };
    },
  };
  return (kind) => {
    if (kind === 'Client') return clientAdapter(deps.clients);
    const stored = withConsents(kind, deps.artifacts.adapterFor(kind), deps.consents);
    return withJwtAccessTokens(kind, stored, jwtDependencies);
  };
}

/** RFC 7517 public members only. */
function publicKeySet(privateKeys: readonly JWK[]): JSONWebKeySet {
  const members = ['kty', 'kid', 'alg', 'use', 'n', 'e', 'crv', 'x', 'y'] as const;
  return {
    keys: privateKeys.map(
      (key) =>
        Object.fromEntries(
          members.flatMap((name) => (key[name] === undefined ? [] : [[name, key[name]]])),
        ) as unknown as JWK & { kty: string },
    ),
  };
}
