import { createClientTokens } from '../provider/tokens/client-tokens.ts';
import type { Parts } from './parts.ts';
import { servedClients } from './served-clients.ts';
import type { AppSettings } from './settings.ts';

/** What finds the client of a token at our own APIs; each time counts as a request of that client. */
export function clientTokens(
  settings: Pick<AppSettings, 'minimumProfile'>,
  { storage, engine, limits }: Pick<Parts, 'storage' | 'engine' | 'limits'>,
): ReturnType<typeof createClientTokens> {
  const clients = servedClients(settings, storage);
  return createClientTokens(() => engine.current(), clients, limits.engine);
}
