import type { Registry } from 'prom-client';
import { createCounter, oneOf } from './metric-handles.ts';
import type { CounterHandle } from './metric-handles.ts';

/** What is counted of API keys. */
export interface ApiKeyMetrics {
  apiKeyVerifications: CounterHandle<'outcome'>;
  apiKeysEnding: CounterHandle<never>;
}

/** Makes them. */
export function apiKeyMetrics(registry: Registry): ApiKeyMetrics {
  const refusals = ['malformed', 'unknown', 'expired', 'revoked', 'foreign', 'address', 'limited'];
  return {
    apiKeyVerifications: createCounter(registry, {
      name: 'countersign_api_key_verifications_total',
      help: 'API keys that resource servers or the edge asked about, by outcome.',
      labels: { outcome: oneOf(['accepted', ...refusals]) },
    }),
    apiKeysEnding: createCounter(registry, {
      name: 'countersign_api_keys_ending_total',
      help: 'API keys that were told to end soon.',
      labels: {},
    }),
  };
}
