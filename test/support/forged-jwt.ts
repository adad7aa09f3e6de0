import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
} from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 });
const attackerEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Base64url of JSON, or of a text as it is. */
function encoded(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url',
  );
}

function compact(header: unknown, payload: unknown, signer: (input: string) => Buffer): string {
  const input = `${encoded(header)}.${encoded(payload)}`;
  return `${input}.${signer(input).toString('base64url')}`;
}

const unsigned = () => Buffer.alloc(0);
const byMac = (key: string | Buffer) => (input: string) =>
  createHmac('sha256', key).update(input).digest();
const byRsa = (key: KeyObject) => (input: string) => sign('sha256', Buffer.from(input), key);
const byEc = (key: KeyObject) => (input: string) =>
  sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });

/** A key whose holder the server trusts: private JWK of RS256 or ES256. */
export interface TrustedKey {
  jwk: JsonWebKey & { kid?: string };
  alg: 'RS256' | 'ES256';
}

/** What all forgeries say of their type. */
interface Claim {
  header: Record<string, unknown>;
  payload: unknown;
}

/** Signs with the trusted key itself: for what is wrong in another way than by its signature. */
export function signedWith({ jwk, alg }: TrustedKey, { header, payload }: Claim): string {
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const all = { alg, ...(jwk.kid === undefined ? {} : { kid: jwk.kid }), ...header };
  return compact(all, payload, alg === 'RS256' ? byRsa(key) : byEc(key));
}

/** A foreign address that an attacker would have the server fetch. */
type Lure = string;

/**
 * Forgeries of one claim by somebody who knows the public key only: each breaks a verifier that believes the header. The
 * lure stands wherever a header may name an address.
 */
export function forgeries(trusted: TrustedKey, claim: Claim, lure: Lure): Record<string, string> {
  const { kid } = trusted.jwk;
  const header = { kid, ...claim.header };
  return {
    ...withoutKey(header, claim.payload),
    ...withPublicKey(trusted, header, claim.payload),
    ...withOwnKey(header, claim.payload, lure),
    ...withTrustedKey(trusted, claim),
  };
}

function withoutKey(header: object, payload: unknown): Record<string, string> {
  const none = ['none', 'None', 'NONE', 'nOnE', '', ' none', null, 0, ['none'], {}].map(
    (alg): [string, string] => [
      `alg ${JSON.stringify(alg)}`,
      compact({ ...header, alg }, payload, unsigned),
    ],
  );
  return {
    ...Object.fromEntries(none),
    'no alg': compact({ ...header, alg: undefined }, payload, unsigned),
    'empty signature': compact({ ...header, alg: 'RS256' }, payload, unsigned),
    'no signature part': compact({ ...header, alg: 'none' }, payload, unsigned).slice(0, -1),
    'zero signature': compact({ ...header, alg: 'ES256' }, payload, () => Buffer.alloc(64)),
    'header is no object': compact([], payload, unsigned),
    'header is null': compact('null', payload, unsigned),
    'header is no JSON': compact('{', payload, unsigned),
    'payload is no object': compact({ ...header, alg: 'none' }, [1], unsigned),
    'payload is null': compact({ ...header, alg: 'none' }, 'null', unsigned),
    'payload is no JSON': compact({ ...header, alg: 'none' }, '{', unsigned),
    'deep payload': compact({ ...header, alg: 'none' }, '['.repeat(2000), unsigned),
    'five parts': `${encoded({ ...header, alg: 'dir', enc: 'A256GCM' })}..AA.AA.AA`,
    'zip bomb header': `${encoded({ ...header, alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..AA.AA.AA`,
  };
}

function withPublicKey({ jwk }: TrustedKey, header: object, payload: unknown) {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const pem = key.export({ type: 'spki', format: 'pem' }).toString();
  const der = key.export({ type: 'spki', format: 'der' });
  const publicJwk = key.export({ format: 'jwk' });
  const hs = { ...header, alg: 'HS256' };
  return {
    'HS256, public key as PEM': compact(hs, payload, byMac(pem)),
    'HS256, public key as PEM without its end': compact(hs, payload, byMac(pem.trim())),
    'HS256, public key as DER': compact(hs, payload, byMac(der)),
    'HS256, public key as JWK': compact(hs, payload, byMac(JSON.stringify(publicJwk))),
    'HS256, empty key': compact({ ...hs, kid: '/dev/null' }, payload, byMac('')),
    'HS256, stand-in of secrets': compact(hs, payload, byMac('kept as a digest')),
    'hs256, public key as PEM': compact({ ...hs, alg: 'hs256' }, payload, byMac(pem)),
  };
}

function withOwnKey(header: object, payload: unknown, lure: Lure): Record<string, string> {
  const own = attacker.publicKey.export({ format: 'jwk' });
  const rs = { ...header, alg: 'RS256' };
  const signer = byRsa(attacker.privateKey);
  const headers: Record<string, object> = {
    'foreign key, trusted kid': rs,
    'foreign key, no kid': { ...rs, kid: undefined },
    jwk: { ...rs, jwk: own },
    'jwk, no kid': { ...rs, kid: undefined, jwk: own },
    'jwk, own kid': { ...rs, kid: 'mine', jwk: { ...own, kid: 'mine' } },
    jku: { ...rs, jku: lure },
    'jku, own kid': { ...rs, kid: 'mine', jku: lure },
    x5u: { ...rs, x5u: lure },
    x5c: { ...rs, x5c: ['MIIB'] },
    'x5t#S256': { ...rs, kid: undefined, 'x5t#S256': 'x'.repeat(43) },
    'kid is a path': { ...rs, kid: '../../../../dev/null' },
    'kid is SQL': { ...rs, kid: "x' UNION SELECT 'AA'--" },
    'kid is an address': { ...rs, kid: lure },
    'kid is a number': { ...rs, kid: 1 },
    'kid is an object': { ...rs, kid: { $ne: '' } },
    'kid is __proto__': { ...rs, kid: '__proto__' },
    iss: { ...rs, iss: lure },
  };
  const byRsaKey = Object.entries(headers).map(([name, own_]): [string, string] => [
    name,
    compact(own_, payload, signer),
  ]);
  const es = { ...header, alg: 'ES256', jwk: attackerEc.publicKey.export({ format: 'jwk' }) };
  return {
    ...Object.fromEntries(byRsaKey),
    'jwk with ES256': compact(es, payload, byEc(attackerEc.privateKey)),
  };
}

function withTrustedKey(trusted: TrustedKey, { header, payload }: Claim): Record<string, string> {
  const right = signedWith(trusted, { header, payload });
  const [head = '', body = '', signature = ''] = right.split('.');
  const nested = { header: { ...header, cty: 'JWT' }, payload: right };
  return {
    'unknown crit': signedWith(trusted, { header: { ...header, crit: ['x'], x: 1 }, payload }),
    'empty crit': signedWith(trusted, { header: { ...header, crit: [] }, payload }),
    'crit is no array': signedWith(trusted, { header: { ...header, crit: 'exp' }, payload }),
    nested: signedWith(trusted, nested),
    'another payload': `${head}.${encoded({ ...(payload as object), sub: 'x', more: 1 })}.${signature}`,
    'signature in another part': `${head}.${signature}.${body}`,
    'signature too long': `${right}AAAA`,
    'signature too short': right.slice(0, -8),
    'parts too many': `${right}.${signature}`,
    'JSON serialization': JSON.stringify({ protected: head, payload: body, signature }),
  };
}
