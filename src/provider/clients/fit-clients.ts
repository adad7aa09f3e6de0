import type { RequestContext } from '../../observability/request-context.ts';
import type { Clients, RegisteredMetadata } from '../ports.ts';

/** Why a registered client can't be served; undefined for one that can. */
export type RefusalOf = (metadata: RegisteredMetadata) => string | undefined;

/**
 * Hides the clients that the server's rules refuse: they may have been registered before the rules were. To the caller they
 * don't exist; log and audit say why.
 */
export function hideUnfitClients(
  clients: Clients,
  refusalOf: RefusalOf,
  currentRequest: () => RequestContext | undefined,
): Clients {
  // The metadata object stays the same for as long as the client is remembered.
  const refusals = new WeakMap<object, { reason: string | undefined }>();

  function judge(metadata: RegisteredMetadata): string | undefined {
    const known = refusals.get(metadata);
    if (known !== undefined) return known.reason;
    const reason = refusalOf(metadata);
    refusals.set(metadata, { reason });
    return reason;
  }

  return {
    ...clients,
    async metadataOf(id) {
      const metadata = await clients.metadataOf(id);
      const reason = metadata === undefined ? undefined : judge(metadata);
      if (reason === undefined) return metadata;
      const request = currentRequest();
      if (request !== undefined) request.reason = `client ${id} is refused: ${reason}`;
      return undefined;
    },
  };
}
