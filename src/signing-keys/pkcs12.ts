import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import * as pkijs from 'pkijs';
import { Problem } from '../problem.ts';

/** RFC 7292 §4.2: a private key as it is, and one that is encrypted. */
const keyBag = '1.2.840.113549.1.12.10.1.1';
const shroudedKeyBag = '1.2.840.113549.1.12.10.1.2';

/**
 * The one private key in a PKCS #12 file (RFC 7292) that a password protects, by AES as every program writes it today.
 * Problem('signing_key_invalid') for another password or a changed file, none or several keys, and outdated ciphers.
 */
export async function readPkcs12(bytes: Uint8Array, password: string): Promise<KeyObject> {
  if (!/^[\x20-\x7e]*$/.test(password)) {
    throw refused('its password has other characters than ASCII: export it with another one');
  }
  const bags = (await safesOf(bytes, password)).flatMap(({ safeBags }) => safeBags);
  const keys = bags.filter(({ bagId }) => bagId === keyBag || bagId === shroudedKeyBag);
  const [key, ...others] = keys;
  if (key === undefined) throw refused('there is no private key in it');
  if (others.length > 0) throw refused(`there are ${String(keys.length)} keys in it: give one`);
  return privateKeyIn(key, password);
}

/** What is in the file, once its MAC has shown that the password is right and nothing was changed. */
async function safesOf(bytes: Uint8Array, text: string): Promise<pkijs.SafeContents[]> {
  const password = new TextEncoder().encode(text).buffer;
  const file = parsed(() => pkijs.PFX.fromBER(Uint8Array.from(bytes)));
  if (file.macData === undefined) throw refused('nothing protects it from changes: it has no MAC');
  await file.parseInternalValues({ password, checkIntegrity: true }).catch((cause: unknown) => {
    const detail = 'its password is another one, or it was changed: the MAC does not fit';
    throw new Problem('signing_key_invalid', { detail, cause });
  });
  const safe = file.parsedValue?.authenticatedSafe;
  if (safe === undefined) throw refused('it has no content');
  const safeContents = safe.safeContents.map(({ contentType }) =>
    contentType === pkijs.ContentInfo.ENCRYPTED_DATA ? { password } : {},
  );
  await safe.parseInternalValues({ safeContents }).catch((cause: unknown) => {
    const detail =
      'a part of it can not be decrypted: export it anew, with AES (openssl pkcs12 -export)';
    throw new Problem('signing_key_invalid', { detail, cause });
  });
  const { safeContents: found } = safe.parsedValue as {
    safeContents: { value: pkijs.SafeContents }[];
  };
  return found.map(({ value }) => value);
}

function privateKeyIn({ bagId, bagValue }: pkijs.SafeBag, passphrase: string): KeyObject {
  const key = Buffer.from((bagValue as pkijs.PrivateKeyInfo).toSchema().toBER());
  const isEncrypted = bagId === shroudedKeyBag;
  return parsed(() =>
    createPrivateKey({ key, format: 'der', type: 'pkcs8', ...(isEncrypted && { passphrase }) }),
  );
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Problem('signing_key_invalid', { detail: 'it is not a PKCS #12 file', cause });
  }
}

function refused(detail: string): Problem {
  return new Problem('signing_key_invalid', { detail });
}
