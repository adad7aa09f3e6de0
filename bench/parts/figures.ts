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
  'consent-lodging',
  'consent-status',
  'api-key',
  'edge-jwt',
  'edge-api-key',
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
  'consent-lodging': 'a consent lodged over mTLS (UK account access)',
  'consent-status': 'the state of a consent, asked by a resource server',
  'api-key': 'an API key, asked about by a resource server',
  'edge-jwt': 'the edge about a JWT that is bound to a certificate, asked by a proxy',
  'edge-api-key': 'the edge about an API key, asked by a proxy',
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
  'consent-lodging',
  'consent-status',
];
