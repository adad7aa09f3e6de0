import type Koa from 'koa';
import type Provider from 'oidc-provider';
import type { Clock } from '../../clock.ts';
import { createProofJudge } from '../../security/dpop-proof.ts';
import type { CertificateSource } from '../../tls/certificate-source.ts';
import { createClientTokens } from '../tokens/client-tokens.ts';
import type { DpopPolicy } from '../requests/dpop.ts';
import type { Clients, Consents, Limits, Recorder } from '../ports.ts';
import type { SingleUseStore } from '../storage/single-use-store.ts';
import { grantManagement } from './grant-endpoint.ts';
import { grantClients, grantResourceOf } from './grant-resource.ts';
import type { ManagedGrantStore } from './managed-grant-store.ts';
import type { WishRules } from './wish-checks.ts';

/** What grant management takes of the engine's dependencies. */
export interface GrantParts {
  issuer: string;
  mtlsOrigin: string;
  managedGrants: ManagedGrantStore;
  /** Whether every authorization request must name a grant management action. */
  grantActionRequired: boolean;
  clients: Pick<Clients, 'metadataOf'>;
  consents: Consents;
  certificates: Pick<CertificateSource, 'of'>;
  singleUse: Pick<SingleUseStore, 'firstUse'>;
  dpop: DpopPolicy;
  limits: Limits;
  audit: Recorder;
  clock: Clock;
}

/** What authorization requests are checked with. */
export function wishRules(parts: GrantParts): WishRules {
  const { managedGrants: store, clock, grantActionRequired: isRequired } = parts;
  return { store, clock, isRequired };
}

/** The endpoint for grants of one instance of the engine. */
export function grantEndpoint(provider: Provider, parts: GrantParts): Koa.Middleware {
  const { issuer, clients, dpop, singleUse, clock, limits } = parts;
  return grantManagement({
    ...parts,
    provider,
    store: parts.managedGrants,
    resource: grantResourceOf(issuer),
    findClientToken: createClientTokens(() => provider, grantClients(clients, issuer), limits),
    proofs: createProofJudge({
      ...{ name: 'grants', clock, ...dpop },
      firstUse: (use) => singleUse.firstUse(use),
    }),
  });
}
