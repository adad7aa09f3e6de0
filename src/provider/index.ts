import type Koa from 'koa';
import Provider from 'oidc-provider';
import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { RequestContext } from '../observability/request-context.ts';
import type { CertificateSource } from '../tls/certificate-source.ts';
import { accountShare } from './pages/accounts.ts';
import { algorithmShare } from './requests/algorithms.ts';
import type { ArtifactStore } from './storage/artifact-store.ts';
import { certificateRules, certificateShare } from './clients/certificates.ts';
import {
  clientAuthenticationShare,
  overrideClientAuthentication,
} from './clients/client-authentication.ts';
import { hostAutomaticForms } from './pages/automatic-forms.ts';
import { boundParameters } from './requests/bounded-parameters.ts';
import { clientAdapter } from './clients/client-adapter.ts';
import { rememberClients } from './clients/client-instances.ts';
import { boundKeySets } from './clients/client-key-sets.ts';
import { discoveryShare } from './discovery.ts';
import { authorizationDetailsShare, withConsents } from './grants/consent-grants.ts';
import { noteConsentUses, noteIntrospectedConsent } from './grants/consent-uses.ts';
import { grantEndpoint, wishRules } from './grants/grant-parts.ts';
import type { ManagedGrantStore } from './grants/managed-grant-store.ts';
import { keepManagedIds, nameManagedGrant } from './grants/managed-id.ts';
import { widenMergedCodes } from './grants/merged-codes.ts';
import { grantParameterShare } from './grants/wish-checks.ts';
import { acceptOlderNonces } from './requests/dpop-nonces.ts';
import { dpopShare, expectCalledHost } from './requests/dpop.ts';
import type { DpopPolicy } from './requests/dpop.ts';
import { nameUnauthorizedClients } from './error-codes.ts';
import { recordAnswer, recordEvents } from './events.ts';
import { passOnServerErrors } from './server-errors.ts';
import { interactionShare } from './pages/interactions.ts';
import { introspectionShare } from './tokens/introspection.ts';
import { withJwtAccessTokens } from './tokens/jwt-access-tokens.ts';
import { lifetimeShare } from './tokens/lifetimes.ts';
import { limitClients } from './clients/limited-clients.ts';
import { mergeShares } from './merge-shares.ts';
import { outboundShare } from './outbound.ts';
import type { Fetch } from './outbound.ts';
import { pageShare } from './pages/pages.ts';
import type {
  Clients,
  Consents,
  Customers,
  Lifetimes,
  Limits,
  ProviderPages,
  Recorder,
  ResourceServers,
  SigningKey,
} from './ports.ts';
import { protocolShare } from './protocol.ts';
import { answerRetries } from './tokens/refresh-retries.ts';
import type { ReplayListener, RetryPolicy } from './tokens/refresh-retries.ts';
import { requestShare } from './requests/request-rules.ts';
import type { RequestPolicy } from './requests/request-rules.ts';
import { resourceShare } from './requests/resources.ts';
import { routes } from './routes.ts';
import { securityProfileShare } from './requests/security-profile.ts';
import { signErrors } from './signed-errors.ts';
import {
  demandSignedIntrospection,
  signedIntrospectionShare,
} from './tokens/signed-introspection.ts';
import { algorithmsThatSign, refuseWithoutSigner, signingKeyShare } from './tokens/signing-key.ts';
import type { SessionStore } from './storage/session-store.ts';
import { withSeenSessions } from './pages/sessions.ts';
import type { SingleUseStore } from './storage/single-use-store.ts';
import { rejectSeveralCredentials, stepAt, stepAtPages } from './steps.ts';
import { nameOpenidScopes, tokenShare } from './tokens/tokens.ts';
import { markStructuredTokens } from './pages/unstructured.ts';

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
  /** Which browsers customers are signed in at. */
  sessions: Pick<SessionStore, 'seen'>;
  /** Told when a single-use artifact is presented again. */
  onReplay: ReplayListener;
  singleUse: SingleUseStore;
  clients: Clients;
  resourceServers: ResourceServers;
  customers: Customers;
  limits: Limits;
  consents: Consents;
  /** Whether what consents are about is given under one only. */
  consentsRequired: boolean;
  managedGrants: ManagedGrantStore;
  /** Whether every authorization request must name a grant management action. */
  grantActionRequired: boolean;
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
export function createProvider(
  signingKeys: readonly SigningKey[],
  deps: ProviderDependencies,
): Provider {
  const algorithms = algorithmsThatSign(signingKeys);
  const provider: Provider = new Provider(
    deps.issuer,
    mergeShares([
      signingKeyShare(signingKeys),
      { adapter: adapterFactory(signingKeys, deps) },
      protocolShare(deps.cookieKeys),
      accountShare(deps.customers, deps),
      authorizationDetailsShare(deps.consents),
      certificateShare(certificateRules(deps)),
      algorithmShare(algorithms),
      clientAuthenticationShare(deps.clock),
      discoveryShare(deps),
      dpopShare(deps.dpop, deps.clock),
      interactionShare({ ...deps, wishes: wishRules(deps) }),
      grantParameterShare(wishRules(deps)),
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
  acceptOlderNonces(provider, deps.dpop.olderNonceSecrets);
  expectCalledHost(provider, deps);
  overrideClientAuthentication(provider, deps);
  boundParameters(provider);
  signErrors(provider);
  boundKeySets(provider, deps);
  rememberClients(provider, deps.clients); // around it: a client that is remembered was bounded before
  limitClients(provider, deps.limits); // around it: each request counts, also of a remembered client
  nameOpenidScopes(provider);
  refuseWithoutSigner(provider, signingKeys, deps);
  keepManagedIds(provider);
  widenMergedCodes(provider);
  recordEvents(provider, deps);
  noteConsentUses(provider, deps.consents);
  provider.use(passOnServerErrors(provider, deps.logger));
  for (const step of stepsAround(provider, deps)) provider.use(step);
  return provider;
}

/** What is done before or after the engine's own work, the outermost first, and where. */
function stepsAround(provider: Provider, deps: ProviderDependencies): Koa.Middleware[] {
  const { token, introspection, revocation, userinfo } = routes;
  return [
    rejectSeveralCredentials,
    stepAt([token], nameUnauthorizedClients),
    stepAtPages(hostAutomaticForms(deps.pages)),
    stepAt([introspection, revocation, userinfo], async function recordAnswers(ctx, next) {
      await next();
      const reached = ctx as Partial<KoaContextWithOIDC>;
      if (reached.oidc === undefined) return;
      recordAnswer(ctx as KoaContextWithOIDC, deps.audit);
      noteIntrospectedConsent(ctx as KoaContextWithOIDC, deps.consents);
    }),
    stepAt([introspection], demandSignedIntrospection(provider)),
    stepAt([token], answerRetries(deps)),
    stepAt([token], nameManagedGrant),
    grantEndpoint(provider, deps),
    stepAt([introspection, revocation], markStructuredTokens),
  ];
}

function userinfoOf({ issuer }: ProviderDependencies): string {
  return issuer + routes.userinfo;
}

function adapterFactory(
  signingKeys: readonly SigningKey[],
  deps: ProviderDependencies,
): (kind: string) => Adapter {
  const jwtDependencies = {
    issuer: deps.issuer,
    userinfoAudience: userinfoOf(deps),
    publicKeys: { keys: signingKeys.map(({ jwk }) => jwk) },
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
    const seen = withSeenSessions(kind, deps.artifacts.adapterFor(kind), deps.sessions);
    const stored = withConsents(kind, seen, deps.consents);
    return withJwtAccessTokens(kind, stored, jwtDependencies);
  };
}
