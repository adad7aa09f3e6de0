import { generateKeyPair } from 'node:crypto';
import type { JsonWebKey } from 'node:crypto';
import { promisify } from 'node:util';

/** A client's key in the forms that its software and its registration want. */
export interface ClientKey {
  kid: string;
  /** PKCS #8. */
  privatePem: string;
  /** SubjectPublicKeyInfo. */
  publicPem: string;
  publicJwk: JsonWebKey & { kid: string; alg: string; use: 'sig' };
}

const generate = promisify(generateKeyPair);

/** A new key for this algorithm. */
export async function newClientKey(kid: string, alg: 'RS256' | 'ES256'): Promise<ClientKey> {
  const { publicKey, privateKey } =
    alg === 'RS256'
      ? await generate('rsa', { modulusLength: 2048 })
      : await generate('ec', { namedCurve: 'P-256' });
  return {
    kid,
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
  };
}
