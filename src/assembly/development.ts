import { createAccessTokens } from '../provider/tokens/access-tokens.ts';
import type { Parts } from './parts.ts';
import type { AppDependencies, AppSettings, DevelopmentParts } from './settings.ts';

/** What the routes of development may use; nothing of it is asked for where there are none. */
export function developmentParts(
  { issuer, mtlsOrigin, dpopNonceRequired: nonceRequired }: AppSettings,
  { clock }: AppDependencies,
  { storage, hosting, engine, certificates }: Parts,
): DevelopmentParts {
  const { clients, customers, singleUse } = storage;
  return {
    ...{ issuer, mtlsOrigin, nonceRequired, clock },
    pages: hosting.pages,
    findAccessToken: createAccessTokens(() => engine.current(), {
      clients,
      async isCustomerActive(id) {
        return (await customers.find(id))?.status === 'active';
      },
    }),
    certificateOf: (request) => certificates.of(request),
    firstUse: (use) => singleUse.firstUse(use),
  };
}
