import type Koa from 'koa';
import type { Clock } from '../../clock.ts';
import { createClientAccess } from '../../security/client-access.ts';
import type { CertificateOf, FindClientToken } from '../../security/client-access.ts';
import { createConsentApi } from './consent-api.ts';
import type { AuthenticateServer, ClientMay, Recorder } from '../consent-ports.ts';
import { createConsumptionAnswer } from './consent-consumption-api.ts';
import { createStatusAnswer } from './consent-status-api.ts';
import type { ConsentStore } from '../consent-store.ts';
import { createLodging } from '../lodging.ts';

interface Dependencies {
  mtlsOrigin: string;
  /** What `aud` of a client's token must name; without it no token opens the API. */
  resource: string | undefined;
  consents: ConsentStore;
  /** Told of every use of a consent, at no cost. */
  used: (consentId: string) => void;
  findClientToken: FindClientToken;
  authenticate: AuthenticateServer;
  clientMay: ClientMay;
  certificateOf: CertificateOf;
  audit: Recorder;
  clock: Clock;
}

/** The consent APIs, put together. */
export function consentApiOf(deps: Dependencies): Koa.Middleware {
  return createConsentApi({
    ...deps,
    authorize: createClientAccess(deps),
    lodging: createLodging(deps),
    answers: { status: createStatusAnswer(deps), consumption: createConsumptionAnswer(deps) },
  });
}
