/** The flows that are measured. */
export const flowNames = [
  'client-credentials',
  'client-credentials-opaque',
  'refresh',
  'refresh-rotating',
  'introspection-jwt',
  'introspection-opaque',
  'userinfo',
  'discovery',
  'jwks',
  'authorization',
  'fapi',
  'login',
] as const;
export type FlowName = (typeof flowNames)[number];

/** What the table calls them. */
export const flowTitles: Record<FlowName, string> = {
  'client-credentials': 'client credentials over mTLS → RS256 JWT',
  'client-credentials-opaque': 'client credentials over mTLS → opaque token',
  refresh: 'refresh, not rotating (mTLS client) → JWT',
  'refresh-rotating': 'refresh, rotating (public client) → JWT',
  'introspection-jwt': 'introspection of a JWT',
  'introspection-opaque': 'introspection of an opaque token',
  userinfo: 'userinfo',
  discovery: 'discovery',
  jwks: 'JWKS',
  authorization: 'authorization with a live session + code exchange',
  fapi: 'FAPI 2.0 with a live session: PAR + authorization + code exchange over mTLS',
  login: 'first login + consent + code exchange',
};

/** What bare oidc-provider is measured with: it has no pages to log in at, and introspects no JWT. */
export const bareFlows: readonly FlowName[] = [
  'client-credentials',
  'client-credentials-opaque',
  'refresh',
  'refresh-rotating',
  'introspection-opaque',
  'userinfo',
  'discovery',
  'jwks',
  'authorization',
  'fapi',
];

/** What the size of the tables could slow down. */
export const sizeSensitiveFlows: readonly FlowName[] = [
  'client-credentials',
  'refresh-rotating',
  'introspection-opaque',
  'authorization',
];
