import { createPrivateKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import * as openid from 'openid-client';
import { accountsApi } from '../../support/server.ts';
import type { AuthorizationServer } from '../../support/server.ts';
import { clientOf } from '../../support/tokens.ts';

/** A client's own access token: for "tpp" bound to its certificate, for "web" to nothing. */
export async function machineToken(
  server: AuthorizationServer,
  id: 'tpp' | 'web',
  { resource = accountsApi, scope = 'accounts' } = {},
): Promise<string> {
  const configuration = await clientOf(server, id);
  const tokens = await openid.clientCredentialsGrant(configuration, { resource, scope });
  return tokens.access_token;
}

/** A token like `token` with other claims, which the issuer's own key signs. */
export function resigned(
  { material }: AuthorizationServer,
  token: string,
  changed: JWTPayload,
): Promise<string> {
  const [key] = material.signingKeys;
  const { kid = '', typ = '' } = decodeProtectedHeader(token);
  return new SignJWT({ ...decodeJwt(token), ...changed })
    .setProtectedHeader({ alg: 'RS256', kid, typ })
    .sign(createPrivateKey({ key: { ...key }, format: 'jwk' }));
}

/** A token with other claims under the signature of the old ones. */
export function tampered(token: string, changed: JWTPayload): string {
  const [header = '', , signature = ''] = token.split('.');
  const claims = JSON.stringify({ ...decodeJwt(token), ...changed });
  return [header, Buffer.from(claims).toString('base64url'), signature].join('.');
}
