import { refusalOf } from '../clients/profiles.ts';
import { currentRequest } from '../observability/request-context.ts';
import { hideUnfitClients } from '../provider/clients/fit-clients.ts';
import type { Clients } from '../provider/ports.ts';
import type { AppSettings } from './settings.ts';
import type { Storage } from './storage.ts';

/** The clients that the server's minimum profile lets be served; to the others, what they got before is of no use. */
export function servedClients(
  { minimumProfile }: Pick<AppSettings, 'minimumProfile'>,
  { clients }: Pick<Storage, 'clients'>,
): Clients {
  return hideUnfitClients(
    clients,
    (metadata) => refusalOf(metadata, minimumProfile),
    currentRequest,
  );
}
