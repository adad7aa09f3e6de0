import { randomBytes } from 'node:crypto';
import type { SigningAlgorithm } from '../key-ring.ts';
import { adoptableKey } from './pkcs11-adoption.ts';
import { findObjects, loadBinding } from './pkcs11-binding.ts';
import type { Handle, Pkcs11 } from './pkcs11-binding.ts';
import { ck, mechanisms } from './pkcs11-mechanisms.ts';
import type { Attribute } from './pkcs11-mechanisms.ts';
import type { FoundKey, WantedKey } from './signer.ts';

/** Where the token is, and what opens it. */
export interface TokenAddress {
  /** Path of the HSM's PKCS #11 library. */
  library: string;
  /** Label of the token. */
  token: string;
  pin: string;
}

/** A key in a token: what finds it (its CKA_ID, hex) and what it is for. */
export interface TokenKey {
  algorithm: SigningAlgorithm;
  reference: string;
}

/** An open token. Its functions reject with what the library says. */
export interface Token {
  generate(algorithm: SigningAlgorithm): Promise<FoundKey>;
  /** A key that is there already. */
  adopt(wanted: WantedKey): Promise<FoundKey>;
  sign(key: TokenKey, data: Buffer): Promise<Buffer>;
  discard(key: TokenKey): void;
  close(): void;
}

/** As many as libuv has threads for them. */
const sessionCount = 4;

/** An RSA signature of 4096 bits; the binding cuts off what is not needed. */
const longestSignature = 512;

/** Opens a token. Throws what stands against it: no binding, no library, no such token, a wrong PIN. */
export function openToken({ library, token: label, pin }: TokenAddress): Token {
  const binding = loadBinding();
  const module = new binding.PKCS11();
  module.load(library);
  module.C_Initialize();
  const slot = module.C_GetSlotList(true).find((one) => labelOf(module, one) === label);
  if (slot === undefined) throw new Error(`there is no token ${label}`);
  const flags = ck.serialSession | ck.readWriteSession;
  const sessions = Array.from({ length: sessionCount }, () => module.C_OpenSession(slot, flags));
  const [first] = sessions as [Handle];
  module.C_Login(first, ck.user, pin);
  const borrow = createLoans(sessions);
  const handles = new Map<string, Handle>();

  function handleOf(session: Handle, reference: string): Handle {
    const known = handles.get(reference);
    if (known !== undefined) return known;
    const [found] = findObjects(module, session, objectOf(ck.privateKey, reference));
    if (found === undefined) throw new Error(`there is no key ${reference} in the token`);
    handles.set(reference, found);
    return found;
  }

  return {
    generate: (algorithm) => borrow((session) => generateIn(module, session, algorithm)),

    adopt: (wanted) => borrow((session) => Promise.resolve(adoptableKey(module, session, wanted))),

    sign({ algorithm, reference }, data) {
      const { mechanism, input } = mechanisms[algorithm];
      return borrow((session) => {
        const key = handleOf(session, reference);
        module.C_SignInit(session, mechanism(binding.CK_PARAMS_RSA_PSS), key);
        return module.C_SignAsync(session, input(data), Buffer.alloc(longestSignature));
      });
    },

    discard({ reference }) {
      for (const kind of [ck.privateKey, ck.publicKey]) {
        for (const object of findObjects(module, first, objectOf(kind, reference))) {
          module.C_DestroyObject(first, object);
        }
      }
      handles.delete(reference);
    },

    close() {
      module.C_Finalize();
      module.close();
    },
  };
}

function labelOf(module: Pkcs11, slot: Handle): string {
  return module.C_GetTokenInfo(slot).label.replace(/[\0 ]+$/, '');
}

function objectOf(kind: number, reference: string): Attribute[] {
  return [
    { type: ck.class, value: kind },
    { type: ck.id, value: Buffer.from(reference, 'hex') },
  ];
}

async function generateIn(module: Pkcs11, session: Handle, algorithm: SigningAlgorithm) {
  const { kind } = mechanisms[algorithm];
  const id = randomBytes(16);
  const shared: Attribute[] = [
    { type: ck.token, value: true },
    { type: ck.id, value: id },
    { type: ck.label, value: `countersign ${algorithm}` },
  ];
  const { publicKey } = await module.C_GenerateKeyPairAsync(
    session,
    kind.generation,
    [...shared, { type: ck.verify, value: true }, ...kind.template],
    [
      ...shared,
      { type: ck.private, value: true },
      { type: ck.sensitive, value: true },
      { type: ck.extractable, value: false },
      { type: ck.sign, value: true },
    ],
  );
  const wanted = kind.published.map((type) => ({ type }));
  const values = module.C_GetAttributeValue(session, publicKey, wanted).map(({ value }) => value);
  return { publicJwk: kind.jwk(values), reference: id.toString('hex') };
}

/** A session does one thing at a time. */
function createLoans(sessions: readonly Handle[]) {
  const free = [...sessions];
  const waiting: ((session: Handle) => void)[] = [];
  return async function borrow<T>(use: (session: Handle) => Promise<T>): Promise<T> {
    const session =
      free.pop() ?? (await new Promise<Handle>((resolve) => void waiting.push(resolve)));
    try {
      return await use(session);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free.push(session);
      else next(session);
    }
  };
}
