import type { AppSettings } from '../assembly/settings.ts';
import type { Configuration } from '../config/schema.ts';

/** The settings of API keys in the app's words; `fallback` is the resource server of the consent APIs. */
export function apiKeySettings(
  configuration: Configuration,
  fallback: string | undefined,
): AppSettings['apiKeys'] {
  const { environment, apiKeysResource, apiKeyMode, apiKeyWarningSeconds } = configuration;
  return {
    resource: apiKeysResource ?? fallback,
    mode: apiKeyMode ?? (environment === 'production' ? 'live' : 'test'),
    warningSeconds: apiKeyWarningSeconds,
    rules: {
      maxSeconds: configuration.apiKeyMaxTtlSeconds,
      maxPerClient: configuration.apiKeysPerClient,
    },
  };
}
