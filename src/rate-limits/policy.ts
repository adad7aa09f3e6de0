import type { Rule, SubjectKind } from './rule.ts';

/** Endpoints that a rule may be about. */
export type EndpointGroup =
  | 'authorization'
  | 'pushed-authorization'
  | 'token'
  | 'introspection'
  | 'revocation'
  | 'userinfo'
  | 'metadata'
  | 'registration'
  | 'consents'
  | 'grants'
  | 'api-keys'
  | 'events'
  | 'login'
  | 'pages'
  | 'edge';

/** A limit, and what it is about. */
export interface PolicyRule extends Rule {
  /** All of them are counted together. */
  groups: readonly EndpointGroup[];
  per: SubjectKind;
  /**
   * `requests` counts every one, `failures` only those that end refused: a request is then counted when it arrives and
   * given back when it ends well, or its client proved who it is.
   */
  counts: 'requests' | 'failures';
}

/** Every limit of a server. */
export interface RateLimitPolicy {
  rules: readonly PolicyRule[];
}

const programs: readonly EndpointGroup[] = [
  'pushed-authorization',
  'token',
  'introspection',
  'revocation',
  'userinfo',
  'registration',
  'consents',
  'grants',
  'api-keys',
  'events',
];

const perMinute = { windowSeconds: 60 } as const;
const bucket = { algorithm: 'token-bucket', whenStoreIsDown: 'local', ...perMinute } as const;

/**
 * What holds without a policy file: generous to clients that prove who they are, so that no healthy one meets a limit;
 * close to who fails; strict at the login. The key set and metadata are answered from memory and not limited.
 */
export const defaultPolicy: RateLimitPolicy = {
  rules: [
    {
      ...bucket,
      ...{ name: 'failures', groups: programs, per: 'address', counts: 'failures' },
      ...{ limit: 3000, burst: 1500 },
    },
    {
      ...bucket,
      ...{ name: 'client', groups: programs, per: 'client', counts: 'requests' },
      ...{ limit: 60_000, burst: 20_000 },
    },
    {
      ...bucket,
      ...{ name: 'pages', groups: ['authorization', 'pages'], per: 'address', counts: 'requests' },
      ...{ limit: 6000, burst: 3000 },
    },
    {
      ...bucket,
      ...{ name: 'customer', groups: ['authorization', 'userinfo'], per: 'customer' },
      ...{ counts: 'requests', limit: 6000, burst: 3000 },
    },
    {
      ...{ name: 'registrations', groups: ['registration'], per: 'everyone', counts: 'requests' },
      ...{ algorithm: 'sliding-window', limit: 1200, ...perMinute, whenStoreIsDown: 'local' },
    },
    {
      ...{ name: 'login', groups: ['login'], per: 'address', counts: 'failures' },
      ...{ algorithm: 'sliding-window', limit: 100, ...perMinute, whenStoreIsDown: 'closed' },
    },
  ],
};
