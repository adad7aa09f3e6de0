import type Router from '@koa/router';
import { addRegistrationRoutes } from '../clients/registration/registration-api.ts';
import { registrationsOf } from '../clients/registration/registration-parts.ts';
import { createRegistrationStores } from '../clients/registration/registration-store.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import type { CertificateSource } from '../tls/certificate-source.ts';
import { qwacRoles } from '../tls/qc-statements.ts';
import { clientTokens } from './client-tokens.ts';
import type { Parts } from './parts.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** Dynamic client registration. */
export function addRegistration(
  router: Router,
  settings: AppSettings,
  parts: Parts & AppDependencies,
): void {
  const { storage, certificates, database, clock, metrics } = parts;
  const { clients } = storage;
  const stores = createRegistrationStores({ ...database, clock, clients });
  const registrations = registrationsOf({
    ...settings,
    ...storage,
    ...stores,
    settings: settings.registration,
    findClientToken: clientTokens(settings, parts),
    rolesOfCertificate: qwacRoles,
    fetch: createOutboundFetch(settings.outbound),
    clock,
    onRefusal(error) {
      metrics.refusals.increment({ endpoint: 'registration', error });
    },
  });
  const certificateOf: CertificateSource['of'] = (request) => certificates.of(request);
  addRegistrationRoutes(router, { ...settings, registrations, certificateOf });
}
