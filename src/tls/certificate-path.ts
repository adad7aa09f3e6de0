import type { X509Certificate } from 'node:crypto';
import { Problem } from '../problem.ts';
import { authorityDefect, leafDefect } from './authority-rules.ts';
import { nameConstraintsDefect } from './name-constraints.ts';

/** What a path is looked for in. */
export interface PathMaterial {
  /** Certificates that came with the leaf: believed in nothing, only tried as links. */
  readonly sent: readonly X509Certificate[];
  /** The truststore: its self-signed certificates are where paths end, the others are links. */
  readonly truststore: readonly X509Certificate[];
}

/** From the leaf to the authority that is trusted, or why there is no such path. */
export type CertificatePath =
  { readonly certificates: readonly X509Certificate[] } | { readonly refusal: string };

/** Leaf, five intermediates and the root. */
const maxLength = 7;
/** Each costs 50 to 200 µs; real paths need three. A sender can't make us try more. */
const maxSignatures = 24;

/**
 * The path from `leaf` to the truststore as OpenSSL finds it for our own connections: names, key
 * identifiers and signatures fit (RFC 5280 §6.1), authorities are valid at `now` and may sign for
 * clients, path lengths and name constraints are kept, nothing critical is unknown. The leaf's own
 * period and purpose are not looked at. Never throws for what a certificate holds.
 */
export function findCertificatePath(
  leaf: X509Certificate,
  material: PathMaterial,
  now: Date,
): CertificatePath {
  const search: Search = { material, now, signatures: 0, refusal: undefined };
  try {
    const defect = leafDefect(leaf);
    if (defect !== undefined) return { refusal: defect };
    const certificates = extend([leaf], search);
    if (certificates !== undefined) return { certificates };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { refusal: error.message };
  }
  return { refusal: search.refusal ?? 'no issuer of it is known' };
}

interface Search {
  readonly material: PathMaterial;
  readonly now: Date;
  signatures: number;
  /** What spoke against the last candidate that was tried. */
  refusal: string | undefined;
}

/** Depth first: another candidate is tried only where one leads nowhere. */
function extend(
  path: readonly X509Certificate[],
  search: Search,
): readonly X509Certificate[] | undefined {
  const last = path.at(-1);
  if (last === undefined) return undefined;
  for (const { candidate, isTrusted } of candidates(last, search)) {
    if (path.some((earlier) => isSame(earlier, candidate))) continue;
    const defect = linkDefect(path, candidate, search);
    if (defect !== undefined) {
      search.refusal = defect;
      continue;
    }
    const longer = [...path, candidate];
    const isRoot = isTrusted && candidate.checkIssued(candidate);
    if (isRoot) return longer;
    const found = longer.length < maxLength ? extend(longer, search) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Those whose name and key identifier fit; trusted ones first, so that what was sent can't lead astray. */
function* candidates(certificate: X509Certificate, { material }: Search) {
  for (const candidate of material.truststore) {
    if (certificate.checkIssued(candidate)) yield { candidate, isTrusted: true };
  }
  for (const candidate of material.sent) {
    const isKnown = material.truststore.some((trusted) => isSame(trusted, candidate));
    if (!isKnown && certificate.checkIssued(candidate)) yield { candidate, isTrusted: false };
  }
}

function linkDefect(
  path: readonly X509Certificate[],
  authority: X509Certificate,
  search: Search,
): string | undefined {
  const child = path.at(-1);
  search.signatures++;
  if (search.signatures > maxSignatures) return 'too many possible issuers';
  if (child?.verify(authority.publicKey) !== true) return 'a signature is not of its issuer';
  const intermediates = path.slice(1).filter((certificate) => !isSelfIssued(certificate)).length;
  return (
    authorityDefect(authority, { intermediates, now: search.now }) ??
    nameConstraintsDefect(
      authority,
      path.filter((certificate, index) => index === 0 || !isSelfIssued(certificate)),
    )
  );
}

/** Same subject and issuer (RFC 5280 §6.1): an authority that changed its key. */
function isSelfIssued({ subject, issuer }: X509Certificate): boolean {
  return subject === issuer;
}

function isSame(a: X509Certificate, b: X509Certificate): boolean {
  return a.fingerprint256 === b.fingerprint256;
}
