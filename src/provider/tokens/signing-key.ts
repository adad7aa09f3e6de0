import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import Provider, { ExternalSigningKey } from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { JWK } from 'jose';
import type { ResourceServers, Share, SigningKey } from '../ports.ts';
import { oneOfSeveral } from '../requests/resources.ts';
import type { Presented } from '../requests/resources.ts';

/**
 * A key of ours behind oidc-provider's interface for external keys (a class, so this is one) instead of its own way
 * through WebCrypto: who signs is not its affair.
 */
class PublishedSigningKey extends ExternalSigningKey {
  readonly #kid: string;
  readonly #alg: string;
  readonly #publicKey: KeyObject;
  readonly #sign: (data: Uint8Array) => Promise<Buffer>;

  constructor({ jwk: { kid, alg, ...jwk }, signer }: SigningKey) {
    super();
    if (kid === undefined || alg === undefined)
      throw new Error('a signing key needs a kid and alg');
    this.#kid = kid;
    this.#alg = alg;
    this.#publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    this.#sign = signer === undefined ? refuseToSign : (data) => signer.sign(data);
  }

  override get kid(): string {
    return this.#kid;
  }

  override get alg(): string {
    return this.#alg;
  }

  override keyObject(): KeyObject {
    return this.#publicKey;
  }

  override sign(data: Uint8Array): Promise<Buffer> {
    return this.#sign(data);
  }
}

/** Announced and retired keys have nothing that signs. */
function refuseToSign(): Promise<never> {
  return Promise.reject(new Error('a key that does not sign was asked to'));
}

/** Algorithms for which one of the keys signs: what may be promised and used. */
export function algorithmsThatSign(keys: readonly SigningKey[]): string[] {
  const signing = keys.filter(({ signer }) => signer !== undefined);
  return [...new Set(signing.flatMap(({ jwk }) => jwk.alg ?? []))];
}

/** The published keys; the first of an algorithm that signs does. */
export function signingKeyShare(keys: readonly SigningKey[]): Share {
  // The types know only JWKs; the documented interface for external keys takes instances as well.
  const instances = keys.map((key) => new PublishedSigningKey(key) as unknown as JWK);
  return {
    jwks: { keys: instances },
    features: { externalSigningSupport: { enabled: true, ack: 'experimental-01' } },
  };
}

/** What is used up for tokens: a code, or a refresh token that rotates. */
interface Spendable extends Presented {
  scopes: ReadonlySet<string>;
  resource?: string | string[] | undefined;
}

/** What says for which resource server a token is, and how it is signed. */
interface AudienceDependencies {
  resourceServers: Pick<ResourceServers, 'find'>;
  defaultResource: string | undefined;
}

/**
 * Refuses to use up a code or refresh token while a signature can't be had that its tokens need: used up for nothing it
 * is lost, and counts as stolen when the client comes with it again. Problem('signer_unavailable'). What is signed by
 * other algorithms, or not at all, goes on; where nothing is used up, the signature itself fails.
 */
export function refuseWithoutSigner(
  provider: Provider,
  keys: readonly SigningKey[],
  deps: AudienceDependencies,
): void {
  const ready = readinessOf(keys);
  const { AuthorizationCode, RefreshToken } = provider;
  for (const { prototype } of [AuthorizationCode, RefreshToken]) {
    const spendable = prototype as unknown as { consume: (this: Spendable) => Promise<void> };
    const { consume } = spendable;
    spendable.consume = async function consumeWhenSigned(this: Spendable) {
      const resources = resourcesOf(this, deps);
      const algorithms = [
        ...idTokenAlgorithms(this, Provider.ctx),
        ...(await accessTokenAlgorithms(resources, deps.resourceServers)),
      ];
      await Promise.all([...new Set(algorithms)].map(ready));
      return consume.call(this);
    };
  }
}

/** Rejects while the key that signs with an algorithm can't; none that signs is not for this step to tell. */
function readinessOf(keys: readonly SigningKey[]): (algorithm: string) => Promise<void> {
  const signing = keys.flatMap(({ jwk, signer }) =>
    signer === undefined ? [] : [{ jwk, signer }],
  );
  return async (algorithm) => {
    await signing.find(({ jwk }) => jwk.alg === algorithm)?.signer.ready();
  };
}

type Context = KoaContextWithOIDC | undefined;

/** OpenID Connect Core §3.1.3.3. */
function idTokenAlgorithms({ scopes }: Spendable, ctx: Context): string[] {
  const algorithm = ctx?.oidc.client?.idTokenSignedResponseAlg;
  return scopes.has('openid') && algorithm !== undefined ? [algorithm] : [];
}

/** The resource server that the access token is for; several where none of them is to be had without being named. */
function resourcesOf(presented: Spendable, deps: AudienceDependencies): string[] {
  const asked = Provider.ctx?.oidc.params?.['resource'];
  const named = (asked ?? presented.resource ?? []) as string | string[];
  if (!Array.isArray(named) || named.length < 2) return [named].flat();
  return [oneOfSeveral(presented, named, deps)].flat();
}

async function accessTokenAlgorithms(
  resources: readonly string[],
  { find }: Pick<ResourceServers, 'find'>,
): Promise<string[]> {
  const audiences = await Promise.all(resources.map((identifier) => find(identifier)));
  return audiences.flatMap((audience) =>
    audience?.accessTokenFormat === 'jwt' ? [audience.signingAlgorithm] : [],
  );
}
