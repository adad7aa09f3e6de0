import { systemClock } from '../../src/clock.ts';
import { accountsApi } from '../parts/world.ts';
import type { Connection } from './connection.ts';

/** A new API key, made over the API by a client with a token of scope `api-keys`. */
export async function makeApiKey(mutual: Connection, token: string): Promise<string> {
  const request = JSON.stringify({
    name: 'bench',
    permissions: { [accountsApi]: ['accounts'] },
    expires_at: new Date(systemClock.now().getTime() + 86_400_000).toISOString(),
    rate_limit: { requests: 1_000_000, seconds: 1 },
  });
  const authorization = `Bearer ${token}`;
  const { status, text } = await mutual.postJson('/api-keys/v1/keys', request, { authorization });
  if (status !== 201) throw new Error(`status ${String(status)}: ${text}`);
  return (JSON.parse(text) as { key: string }).key;
}
