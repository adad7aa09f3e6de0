import { X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import * as pkijs from 'pkijs';

const shroudedKeyBag = '1.2.840.113549.1.12.10.1.2';
const certificateBag = '1.2.840.113549.1.12.10.1.3';

/** A PKCS #12 file with these private keys, encrypted and protected by `password`, or with certificates (PEM). */
export async function pkcs12File(
  content: readonly (KeyObject | string)[],
  password: string,
): Promise<Buffer> {
  const safeBags = content.map((item) =>
    typeof item === 'string'
      ? new pkijs.SafeBag({ bagId: certificateBag, bagValue: certificateOf(item) })
      : new pkijs.SafeBag({ bagId: shroudedKeyBag, bagValue: keyOf(item, password) }),
  );
  const safeContents = [{ privacyMode: 0, value: new pkijs.SafeContents({ safeBags }) }];
  const authenticatedSafe = new pkijs.AuthenticatedSafe({ parsedValue: { safeContents } });
  await authenticatedSafe.makeInternalValues({ safeContents: [{}] });
  const file = new pkijs.PFX({ parsedValue: { integrityMode: 0, authenticatedSafe } });
  await file.makeInternalValues({
    password: new TextEncoder().encode(password).buffer,
    iterations: 2048,
    pbkdf2HashAlgorithm: 'SHA-256',
    hmacHashAlgorithm: 'SHA-256',
  });
  return Buffer.from(file.toSchema().toBER());
}

function keyOf(key: KeyObject, passphrase: string): pkijs.PKCS8ShroudedKeyBag {
  const der = key.export({ format: 'der', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase });
  return pkijs.PKCS8ShroudedKeyBag.fromBER(Uint8Array.from(der));
}

function certificateOf(pem: string): pkijs.CertBag {
  const { raw } = new X509Certificate(pem);
  return new pkijs.CertBag({ parsedValue: pkijs.Certificate.fromBER(Uint8Array.from(raw)) });
}
