import { z } from 'zod';
import { flag, key256, keys256, setting, whole } from './setting.ts';

/** Secrets and lifetimes of what the server issues. */
export const tokenSettings = {
  cookieKeys: setting({
    variable: 'COUNTERSIGN_COOKIE_KEYS',
    type: keys256.optional(),
    secret: true,
    sentence:
      'Keys that sign cookies and forms, 32 bytes base64url each; the first signs, all verify.',
  }),
  encryptionKeys: setting({
    variable: 'COUNTERSIGN_ENCRYPTION_KEYS',
    type: keys256.optional(),
    secret: true,
    sentence: 'Keys that encrypt what the database keeps; the first encrypts, all decrypt.',
  }),
  digestKey: setting({
    variable: 'COUNTERSIGN_DIGEST_KEY',
    type: keys256.optional(),
    secret: true,
    sentence:
      'Keys of the digests of client secrets, API keys, user names and throttles, 32 bytes base64url each; the first makes, all are recognised.',
  }),
  pairwiseSalt: setting({
    variable: 'COUNTERSIGN_PAIRWISE_SALT',
    type: key256.optional(),
    secret: true,
    sentence:
      'Salt of pairwise subjects, 32 bytes base64url. Never change it: subjects would change.',
  }),
  authorizationCodeTtlSeconds: setting({
    variable: 'COUNTERSIGN_AUTHORIZATION_CODE_TTL',
    type: whole(10, 60),
    fallback: '60',
    unit: 's',
    sentence: 'How long an authorization code lives (RFC 9700, FAPI 2: at most 60 s).',
  }),
  accessTokenTtlSeconds: setting({
    variable: 'COUNTERSIGN_ACCESS_TOKEN_TTL',
    type: whole(60, 900),
    fallback: '600',
    unit: 's',
    sentence: 'How long an access token lives where the resource server does not say.',
  }),
  refreshTokenTtlSeconds: setting({
    variable: 'COUNTERSIGN_REFRESH_TOKEN_TTL',
    type: whole(60, 31_536_000),
    fallback: '7776000',
    unit: 's',
    sentence:
      'The absolute lifetime of a refresh token and of what the customer allowed; rotation does not extend it.',
  }),
  refreshRetrySeconds: setting({
    variable: 'COUNTERSIGN_REFRESH_RETRY',
    type: whole(0, 60),
    fallback: '10',
    unit: 's',
    sentence:
      'How long a public client that is bound to its certificate or DPoP key gets the same answer again for a rotated refresh token; 0 never. Other clients that prove themselves keep their token.',
  }),
  refreshRetryUnproven: setting({
    variable: 'COUNTERSIGN_REFRESH_RETRY_UNPROVEN',
    type: flag,
    fallback: 'false',
    sentence: 'Gives the same answer again to public clients that prove nothing as well.',
  }),
  defaultResource: setting({
    variable: 'COUNTERSIGN_DEFAULT_RESOURCE',
    type: z.url().optional(),
    sentence:
      'The resource server that access tokens are for when a client names none; without it the first one that the client may use.',
  }),
} as const;
