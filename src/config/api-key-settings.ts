import { oneOf, optionalText, setting, whole } from './setting.ts';

/** Keys for programs that can't run a flow (docs/api-keys.md). */
export const apiKeySettings = {
  apiKeysResource: setting({
    variable: 'COUNTERSIGN_API_KEYS_RESOURCE',
    type: optionalText,
    sentence:
      'The resource server whose client-credentials tokens of scope `api-keys` manage API keys; where it is not set, the one whose tokens open the consent APIs.',
  }),
  apiKeyMode: setting({
    variable: 'COUNTERSIGN_API_KEY_MODE',
    type: oneOf(['live', 'test']).optional(),
    sentence:
      'Whether API keys begin with ck_live_ or ck_test_; keys of the other kind are refused. Where it is not set, live in production.',
  }),
  apiKeyMaxTtlSeconds: setting({
    variable: 'COUNTERSIGN_API_KEY_MAX_TTL',
    type: whole(3600, 157_680_000),
    fallback: '31536000',
    unit: 's',
    sentence: 'How long an API key may live.',
  }),
  apiKeyWarningSeconds: setting({
    variable: 'COUNTERSIGN_API_KEY_WARNING',
    type: whole(60, 7_776_000),
    fallback: '604800',
    unit: 's',
    sentence:
      'How long before its end an API key is told to end soon: in the log, the audit trail, a metric, and to who verifies it.',
  }),
  apiKeysPerClient: setting({
    variable: 'COUNTERSIGN_API_KEYS_PER_CLIENT',
    type: whole(1, 10_000),
    fallback: '50',
    sentence:
      'How many active API keys a client may have; a rotation adds one to each until its overlap ends.',
  }),
} as const;
