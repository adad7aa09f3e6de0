import { findObjects } from './pkcs11-binding.ts';
import type { Handle, Pkcs11 } from './pkcs11-binding.ts';
import { ck, mechanisms } from './pkcs11-mechanisms.ts';
import type { Attribute } from './pkcs11-mechanisms.ts';
import type { FoundKey, WantedKey } from './signer.ts';

type Reader = Pick<
  Pkcs11,
  'C_FindObjectsInit' | 'C_FindObjects' | 'C_FindObjectsFinal' | 'C_GetAttributeValue'
>;

/** What the private half has to be, as of those that we have made: kept, and never anywhere else, neither before nor after. */
const confinement = [
  { type: ck.token, name: 'CKA_TOKEN', is: true },
  { type: ck.sensitive, name: 'CKA_SENSITIVE', is: true },
  { type: ck.extractable, name: 'CKA_EXTRACTABLE', is: false },
  { type: ck.local, name: 'CKA_LOCAL', is: true },
  { type: ck.alwaysSensitive, name: 'CKA_ALWAYS_SENSITIVE', is: true },
  { type: ck.neverExtractable, name: 'CKA_NEVER_EXTRACTABLE', is: true },
] as const;

/**
 * The one key pair of a token that is meant, made by whomever. Throws what stands against signing with it: it is not
 * there, it is several, it may leave the token or came from elsewhere, nothing finds it again, or it is of another kind. Whether it signs is
 * for its user to try.
 */
export function adoptableKey(module: Reader, session: Handle, wanted: WantedKey): FoundKey {
  const { kind } = mechanisms[wanted.algorithm];
  const name = nameOf(wanted);
  const privateKey = one(find(ck.privateKey, namesOf(wanted)), `private key ${name}`);
  rejectUnconfined(privateKey);
  const [id] = read(privateKey, [ck.id]);
  if (id === undefined || id.length === 0) {
    throw new Error(`the private key ${name} has no CKA_ID, which finds it again: give it one`);
  }
  const byId = [{ type: ck.id, value: id }];
  const reference = id.toString('hex');
  one(find(ck.privateKey, byId), `private key with the CKA_ID ${reference}`);
  const publicKey = one(find(ck.publicKey, byId), `public key with the CKA_ID ${reference}`);
  if (!isOfKind(publicKey)) {
    throw new Error(`${wanted.algorithm} does not sign with a key of the kind of ${name}`);
  }
  return { publicJwk: kind.jwk(read(publicKey, kind.published)), reference };

  function find(objectClass: number, attributes: Attribute[]): Handle[] {
    return findObjects(module, session, [{ type: ck.class, value: objectClass }, ...attributes]);
  }

  function read(object: Handle, types: readonly number[]): Buffer[] {
    const attributes = types.map((type) => ({ type }));
    return module.C_GetAttributeValue(session, object, attributes).map(({ value }) => value);
  }

  function rejectUnconfined(object: Handle): void {
    const against = confinement.filter(({ type, is }) => flag(object, type) !== is);
    if (against.length === 0) return;
    const wrong = against.map((one) => `${one.name} is not ${String(one.is)}`).join(', ');
    throw new Error(
      `the private key ${name} is not the HSM’s alone, or may vanish from it: ${wrong}`,
    );
  }

  /** Undefined where the token doesn't tell. */
  function flag(object: Handle, type: number): boolean | undefined {
    try {
      // A CK_BBOOL is one byte.
      const [value] = read(object, [type]);
      return value?.length === 1 ? value[0] !== 0 : undefined;
    } catch (error) {
      if (error instanceof Error && error.message.includes('CKR_ATTRIBUTE_')) return undefined;
      throw error;
    }
  }

  function isOfKind(object: Handle): boolean {
    // A CK_ULONG is as long as the library's machine has it.
    if (read(object, [ck.keyType])[0]?.readUInt32LE(0) !== kind.keyType) return false;
    if (kind.curves === undefined) return true;
    return kind.curves.includes(read(object, [ck.ecParams])[0]?.toString('hex') ?? '');
  }
}

function namesOf({ label, id }: WantedKey): Attribute[] {
  return [
    ...(label === undefined ? [] : [{ type: ck.label, value: label }]),
    ...(id === undefined ? [] : [{ type: ck.id, value: Buffer.from(id, 'hex') }]),
  ];
}

function nameOf({ label, id }: WantedKey): string {
  return [label, id].filter((name) => name !== undefined).join(' ');
}

function one(found: readonly Handle[], what: string): Handle {
  const [first, ...more] = found;
  if (first === undefined) throw new Error(`there is no ${what} in the token`);
  if (more.length > 0) throw new Error(`there are several of the ${what} in the token`);
  return first;
}
