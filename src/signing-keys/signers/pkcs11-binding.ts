import { createRequire } from 'node:module';
import type { Attribute, Mechanism } from './pkcs11-mechanisms.ts';

/** A session or an object of a token, as its library numbers them. */
export type Handle = Buffer;

/** The part of pkcs11js that is used: the functions of PKCS #11 under their own names. */
export interface Binding {
  CK_PARAMS_RSA_PSS: number;
  PKCS11: new () => Pkcs11;
}

/** The functions of PKCS #11 v3.0 that are called; each throws what the library says (CKR_…). */
export interface Pkcs11 {
  load(library: string): void;
  close(): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): { label: string };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_Login(session: Handle, user: number, pin: string): void;
  C_GenerateKeyPairAsync(
    session: Handle,
    mechanism: Mechanism,
    templates: Attribute[],
    privateTemplate: Attribute[],
  ): Promise<{ privateKey: Handle; publicKey: Handle }>;
  C_GetAttributeValue(session: Handle, object: Handle, wanted: Attribute[]): { value: Buffer }[];
  C_FindObjectsInit(session: Handle, template: Attribute[]): void;
  C_FindObjects(session: Handle, most: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_SignAsync(session: Handle, data: Buffer, signature: Buffer): Promise<Buffer>;
  C_DestroyObject(session: Handle, object: Handle): void;
}

/** pkcs11js. The package is not installed with Countersign: it is compiled, and most installations have no HSM. */
export function loadBinding(): Binding {
  try {
    return createRequire(import.meta.url)('pkcs11js') as Binding;
  } catch (cause) {
    throw new Error('the package pkcs11js is not installed or not built (docs/operations.md)', {
      cause,
    });
  }
}

/** Why no token can be asked from here; undefined when the binding is there. */
export function bindingProblem(): string | undefined {
  try {
    loadBinding();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** At most two of the objects that have these attributes: enough to see that one is meant. */
export function findObjects(
  module: Pick<Pkcs11, 'C_FindObjectsInit' | 'C_FindObjects' | 'C_FindObjectsFinal'>,
  session: Handle,
  template: Attribute[],
): Handle[] {
  module.C_FindObjectsInit(session, template);
  try {
    return module.C_FindObjects(session, 2);
  } finally {
    module.C_FindObjectsFinal(session);
  }
}
