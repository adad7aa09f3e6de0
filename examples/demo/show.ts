import { createHash, X509Certificate } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { JWTPayload } from 'jose';
import type { See } from './narrator.ts';

/** Shows who a certificate is for, and gives back its `x5t#S256`. */
export function showCertificate(see: See, pem: string): string {
  const certificate = new X509Certificate(pem);
  const oneLine = (name: string) => name.split('\n').join(', ');
  see('subject', oneLine(certificate.subject));
  see('issued by', oneLine(certificate.issuer));
  see('valid until', certificate.validToDate.toISOString().slice(0, 10));
  see('thumbprint', thumbprint(certificate));
  return thumbprint(certificate);
}

/** `x5t#S256` of a certificate: the SHA-256 of its DER, base64url. */
function thumbprint({ raw }: X509Certificate): string {
  return createHash('sha256').update(raw).digest('base64url');
}

/** Claims that a person wants to see, in this order; whatever else a token says stays untold. */
const shownClaims = ['iss', 'aud', 'client_id', 'sub', 'scope', 'amr', 'cnf', 'jti'] as const;

/** Shows the claims of an access token, never the token, and gives them back. */
export function showAccessToken(see: See, token: string): JWTPayload {
  const { alg, typ } = decodeProtectedHeader(token);
  const claims = decodeJwt(token);
  see('token', `${String(typ)}, signed with ${String(alg)}, ${String(token.length)} characters`);
  for (const name of shownClaims) {
    const value = claims[name];
    if (value !== undefined) see(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  see('lives for', `${String((claims.exp ?? 0) - (claims.iat ?? 0))} s`);
  return claims;
}

/** The thumbprint that a token is bound to (RFC 8705 §3.1). */
export function boundThumbprint(claims: JWTPayload): string | undefined {
  return (claims['cnf'] as { 'x5t#S256'?: string } | undefined)?.['x5t#S256'];
}
