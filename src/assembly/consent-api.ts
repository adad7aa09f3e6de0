import type Koa from 'koa';
import { consentApiOf } from '../consents/api/consent-parts-api.ts';
import { clientTokens } from './client-tokens.ts';
import type { Parts } from './parts.ts';
import { createServerAuthentication } from './resource-server-authentication.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** The consent APIs for TPPs and resource servers. */
export function consentApi(settings: AppSettings, parts: Parts & AppDependencies): Koa.Middleware {
  const { storage, certificates, clock } = parts;
  const {
    mtlsOrigin,
    consents: { resource },
  } = settings;
  const { audit, clients, consents, consentUses } = storage;
  return consentApiOf({
    ...{ mtlsOrigin, resource, audit, consents, clock },
    findClientToken: clientTokens(settings, parts),
    certificateOf: (request) => certificates.of(request),
    used: (id) => {
      consentUses.note(id);
    },
    authenticate: createServerAuthentication(storage, certificates),
    async clientMay(clientId, resourceServer, scope) {
      const permissions = (await clients.find(clientId))?.permissions ?? {};
      return permissions[resourceServer]?.includes(scope) ?? false;
    },
  });
}
