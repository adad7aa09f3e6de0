import type Koa from 'koa';
import { consentApiOf } from '../consents/api/consent-parts-api.ts';
import { createClientTokens } from '../provider/client-tokens.ts';
import type { Parts } from './parts.ts';
import { servedClients } from './served-clients.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** The consent APIs for TPPs and resource servers. */
export function consentApi(
  settings: AppSettings,
  { storage, engine, certificates, clock }: Parts & AppDependencies,
): Koa.Middleware {
  const {
    mtlsOrigin,
    consents: { resource },
  } = settings;
  const { audit, clients, consents, resourceServers } = storage;
  return consentApiOf({
    ...{ mtlsOrigin, resource, audit, consents, clock },
    findClientToken: createClientTokens(() => engine.current(), servedClients(settings, storage)),
    certificateOf: (request) => certificates.of(request),
    async authenticate(clientId, secret) {
      if (!(await clients.verifySecret(clientId, secret))) return undefined;
      if ((await clients.metadataOf(clientId)) === undefined) return undefined;
      const server = await resourceServers.findByIntrospectionClient(clientId);
      return server && { identifier: server.identifier, scopes: Object.keys(server.scopes) };
    },
  });
}
