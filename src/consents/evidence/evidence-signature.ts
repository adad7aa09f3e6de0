import { compactVerify, createLocalJWKSet, decodeProtectedHeader, errors } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { canonicalJson } from '../../security/canonical-json.ts';
import { evidenceType } from './evidence.ts';
import { evidenceBundle } from './evidence-files.ts';
import type { EvidenceBundle, EvidenceError } from './evidence-files.ts';

/** A key of the ring that signs. */
export interface EvidenceSigner {
  kid: string;
  algorithm: string;
  /** Resolves to the signature of RFC 7518 §3. */
  sign: (data: Uint8Array) => Promise<Uint8Array>;
}

/** A compact JWS (RFC 7515) over the canonical JSON of a bundle. */
export async function signEvidence(
  bundle: EvidenceBundle,
  { kid, algorithm, sign }: EvidenceSigner,
): Promise<string> {
  const header = base64url(canonicalJson({ alg: algorithm, kid, typ: evidenceType }));
  const signed = `${header}.${base64url(canonicalJson(bundle))}`;
  const signature = await sign(Buffer.from(signed));
  return `${signed}.${Buffer.from(signature).toString('base64url')}`;
}

/** What a signature says of a bundle. */
export type OpenedEvidence =
  { bundle: EvidenceBundle; kid: string; algorithm: string } | { fault: string };

/** What our keys sign with: a `none`, or a secret that somebody chose, proves nothing. */
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];

/** The bundle, if a key of `keySet` has signed it as it is; else why not, in words. */
export async function openEvidence(jws: string, keySet: JSONWebKeySet): Promise<OpenedEvidence> {
  try {
    const keys = createLocalJWKSet({ keys: keySet.keys.map(({ key_ops: _any, ...key }) => key) });
    const { payload, protectedHeader } = await compactVerify(jws, keys, { algorithms });
    const { typ, kid = '', alg } = protectedHeader;
    if (typ !== evidenceType) return { fault: `it is signed as ${String(typ)}, not as evidence` };
    const text = Buffer.from(payload).toString('utf8');
    const parsed = evidenceBundle.safeParse(JSON.parse(text));
    if (!parsed.success) return { fault: `its content is none of ours: ${wordsOf(parsed.error)}` };
    if (canonicalJson(parsed.data) !== text) return { fault: 'its content is not canonical JSON' };
    return { bundle: parsed.data, kid, algorithm: alg };
  } catch (error) {
    return { fault: faultOf(error, jws) };
  }
}

/** The first thing that is wrong, where it is, and how many more there are: on one line, whatever the content has in it. */
function wordsOf({ issues }: EvidenceError): string {
  const [first, ...others] = issues;
  const where = first === undefined || first.path.length === 0 ? '' : `${first.path.join('.')}: `;
  const more = others.length === 0 ? '' : `, and ${String(others.length)} more`;
  // Names of members may be anything.
  const what = (first?.message ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
  return `${where}${what}${more}`;
}

function faultOf(error: unknown, jws: string): string {
  if (error instanceof errors.JWKSNoMatchingKey) {
    return `the key set has no key ${kidOf(jws)}, which signed it`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return 'the signature does not fit: something was changed, or another key signed it';
  }
  // Nothing but its input can fail it: a JWS that is none, content that is no JSON, a key that is unusable.
  return `it is no signed evidence: ${error instanceof Error ? error.message : String(error)}`;
}

function kidOf(jws: string): string {
  return decodeProtectedHeader(jws).kid ?? '';
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
