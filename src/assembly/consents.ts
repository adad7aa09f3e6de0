import type { Clock } from '../clock.ts';
import { createAccountDirectory, demoAccounts } from '../consents/api/account-directory-api.ts';
import { noAccounts } from '../consents/accounts.ts';
import type { AccountsOf } from '../consents/accounts.ts';
import {
  detailOf,
  detailTypes,
  faultOfDetail,
  lodgeDetail,
  scopeOfDetail,
} from '../consents/api/consent-details-api.ts';
import { isConsentId } from '../consents/consent.ts';
import { createLodging } from '../consents/lodging.ts';
import { plain } from '../consents/regimes/plain.ts';
import { regimes } from '../consents/regimes/regimes.ts';
import type { Consents } from '../provider/ports.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import type { AppSettings } from './settings.ts';
import type { Storage } from './storage.ts';

/** The consents as the OpenID engine asks for them. */
export function consentsForEngine(
  { consents, consentUses, audit }: Storage,
  clock: Clock,
): Consents {
  const lodging = createLodging({ consents, audit, clock });
  return {
    isId: isConsentId,
    async find(id) {
      const consent = await consents.find(id);
      if (consent === undefined) return undefined;
      const { clientId, state, customerId, regime, type } = consent;
      const scope = regimes[regime].scopes[type];
      return { clientId, state, customerId, scope, detail: detailOf(consent) };
    },
    used: (id) => {
      consentUses.note(id);
    },
    scopes: Object.values(plain.scopes),
    detailTypes,
    faultOfDetail: (detail) => faultOfDetail(detail, clock),
    scopeOfDetail,
    lodge: (clientId, detail) => lodgeDetail(lodging, clientId, detail),
    revoke: (clientId, id) => lodging.revoke(clientId, id),
  };
}

/** Who knows the accounts of a customer. */
export function accountsFrom({ consents, outbound }: AppSettings): AccountsOf {
  const { url, timeoutMs, clientCertificate, madeUp } = consents.accounts;
  if (madeUp) return demoAccounts;
  if (url === undefined) return noAccounts;
  return createAccountDirectory({
    url,
    fetch: createOutboundFetch({ ...outbound, timeoutMs, clientCertificate }),
  });
}
