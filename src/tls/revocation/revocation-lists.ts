import type { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { bounds } from '../../bounds.ts';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import {
  extensionValue,
  issuerElement,
  serialNumberOf,
  subjectElement,
} from '../certificate-fields.ts';
import { derTag, readDer } from '../der.ts';
import { distinguishedNameOf, sameDistinguishedName } from '../names/distinguished-name.ts';
import { createRevocationCache, type Fetched } from './revocation-cache.ts';
import { readRevocationList, type RevocationList } from './revocation-crl.ts';
import { revocationPointersOf } from './revocation-names.ts';
import type { Link } from './revocation-path.ts';
import { causeText, isFuture, periodRefusal, type Verdict } from './revocation-verdict.ts';
import { verifySignature } from './signature.ts';

/** Where revocation lists come from. */
export interface ListSettings {
  /** Paths of lists, DER or PEM, read again when they change. */
  readonly files: readonly string[];
  readonly urls: readonly string[];
  /** Whether lists that certificates name are fetched. */
  readonly fromCertificates: boolean;
  readonly floorSeconds: number;
  readonly ceilingSeconds: number;
}

interface Dependencies {
  readonly clock: Clock;
  /** Downloads a list. */
  readonly download: (url: string) => Promise<Buffer>;
  /** Certificates that may have signed a list besides the issuer: an authority's other keys. */
  readonly authorities: readonly X509Certificate[];
  readonly onFailure: (source: string, error: unknown) => void;
}

/** Revocation lists, kept as long as they hold. */
export interface RevocationLists {
  /** What the lists say; undefined when none is about the certificate's issuer and the certificate names none. */
  verdictOn(link: Link): Promise<Verdict | undefined>;
  /** Reads the configured ones, so that the first request does not wait. Never rejects. */
  preload(): Promise<void>;
  /** The lists in use. */
  known(): Iterable<readonly [source: string, list: RevocationList]>;
}

interface Loaded {
  readonly source: string;
  readonly list: RevocationList;
}

/** How often a file is looked at; reading it anew takes a change. */
const fileCheckSeconds = 10;

/** Revocation lists from files, configured addresses and the certificates themselves. */
export function createRevocationLists(settings: ListSettings, deps: Dependencies): RevocationLists {
  const { urls, files, fromCertificates } = settings;
  const verifier = createListVerifier(deps.authorities);
  const sources = createListSources(settings, deps, verifier);
  const judge = createListJudge(deps.clock, verifier);

  const configured = () => [
    ...files.map((path) => loaded(path, sources.listIn(path))),
    ...urls.map((url) => loaded(url, sources.listAt(url))),
  ];
  function named(certificate: X509Certificate): Promise<Loaded>[] {
    if (!fromCertificates) return [];
    const { lists } = revocationPointersOf(certificate);
    return lists
      .filter((url) => !urls.includes(url))
      .map((url) => loaded(url, sources.listAt(url)));
  }

  return {
    async verdictOn(link) {
      const { certificate } = link;
      const settled = await Promise.allSettled([...configured(), ...named(certificate)]);
      const found = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const failures = settled.flatMap((one) =>
        one.status === 'rejected' ? [causeText(one.reason)] : [],
      );
      const about = found.filter(({ list }) => isIssuedBy(list, certificate));
      const verdicts = await Promise.all(about.map((one) => judge(one, link)));
      return combine(verdicts, failures);
    },
    async preload() {
      await Promise.allSettled(configured());
    },
    known: () => sources.known(),
  };
}

/** Fetches and remembers lists. */
function createListSources(
  { floorSeconds, ceilingSeconds }: ListSettings,
  { clock, download, onFailure }: Dependencies,
  { isGenuine }: Pick<ListVerifier, 'isGenuine'>,
) {
  const limits = { maxSize: bounds.revocationLists.maxKeptBytes, clock };
  const remote = createRevocationCache<RevocationList>({ floorSeconds, ceilingSeconds, ...limits });
  const local = createRevocationCache<FileState>({
    ...{ floorSeconds: fileCheckSeconds, ceilingSeconds: fileCheckSeconds, ...limits },
  });

  /** Tells of every failure once, and not of those that are only remembered. */
  async function reported<T>(source: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      onFailure(source, error);
      throw error;
    }
  }
  async function downloadList(url: string, known?: RevocationList) {
    const list = await readRevocationList(await download(url));
    // Lists travel by plain http: one that somebody put there must not keep the next real one out.
    return keepNewer(list, known !== undefined && isGenuine(known) ? known : undefined);
  }

  return {
    listAt: (url: string) => remote.get(url, (known) => reported(url, downloadList(url, known))),
    async listIn(path: string) {
      const load = (known?: FileState) => reported(path, readListFile(path, { known, clock }));
      return (await local.get(path, load)).list;
    },
    *known(): Iterable<readonly [string, RevocationList]> {
      for (const [path, { list }] of local.known()) yield [path, list];
      yield* remote.known();
    },
  };
}

function createListJudge(clock: Clock, { isSignedFor }: Pick<ListVerifier, 'isSignedFor'>) {
  return async function judge({ source, list }: Loaded, link: Link): Promise<Verdict> {
    const unusable = (why: string): Verdict => ({ status: 'unknown', reason: `${source} ${why}` });
    if (!(await isSignedFor(list, link.issuer))) return unusable('is not signed by the issuer');
    const now = clock.now();
    const refusal = periodRefusal(list, now);
    if (isFuture(list.thisUpdate, now)) return unusable(refusal ?? '');
    const revocation = list.reasonOf(serialNumberOf(link.certificate.raw));
    // Also in a list that is out of date: who was revoked stays so.
    if (revocation !== undefined) return { status: 'revoked', reason: `${revocation} (${source})` };
    if (refusal !== undefined) return unusable(refusal);
    return covers(list, link.certificate) ? { status: 'good' } : unusable('is about others');
  };
}

async function loaded(source: string, list: Promise<RevocationList>): Promise<Loaded> {
  try {
    return { source, list: await list };
  } catch (error) {
    throw new Problem('certificate_invalid', {
      detail: `${source}: ${causeText(error)}`,
      cause: error,
    });
  }
}

function combine(verdicts: readonly Verdict[], failures: readonly string[]): Verdict | undefined {
  const revoked = verdicts.find(({ status }) => status === 'revoked');
  if (revoked !== undefined) return revoked;
  const good = verdicts.find(({ status }) => status === 'good');
  if (good !== undefined) return good;
  const reasons = verdicts.flatMap((verdict) => ('reason' in verdict ? [verdict.reason] : []));
  // A list that can't be read may be the one about this issuer.
  const all = [...reasons, ...failures];
  return all.length === 0 ? undefined : { status: 'unknown', reason: all.join('; ') };
}

/** An older list is what an attacker would play back, or a cache that lags behind. */
function keepNewer(list: RevocationList, known?: RevocationList): Fetched<RevocationList> {
  const isOlder = known !== undefined && list.thisUpdate < known.thisUpdate;
  const value = isOlder ? known : list;
  return { value, holdsUntil: value.nextUpdate, size: value.sizeBytes };
}

interface FileState {
  readonly list: RevocationList;
  /** What changes when the file does. */
  readonly mark: string;
}

async function readListFile(
  path: string,
  { known, clock }: { known: FileState | undefined; clock: Clock },
): Promise<Fetched<FileState>> {
  const { mtimeMs, size, ino } = await stat(path);
  if (size > bounds.revocationLists.maxFileBytes)
    throw new Problem('certificate_invalid', { detail: 'It is too long.' });
  const mark = [mtimeMs, size, ino].join();
  const isSame = known?.mark === mark;
  const list = isSame ? known.list : await readRevocationList(await readFile(path));
  return { value: { list, mark }, holdsUntil: clock.now(), size: list.sizeBytes };
}

type ListVerifier = ReturnType<typeof createListVerifier>;

/** Verifies the signatures of lists, each for an issuer once. */
function createListVerifier(authorities: readonly X509Certificate[]) {
  const verdicts = new WeakMap<RevocationList, Map<string, Promise<boolean>>>();
  const genuine = new WeakSet<RevocationList>();

  async function verify(list: RevocationList, issuer: X509Certificate): Promise<boolean> {
    const signers = [issuer, ...authorities.filter((other) => hasSameSubject(other, issuer))];
    for (const signer of signers) {
      if (!mayNotSignLists(signer) && (await verifySignature(signer.publicKey, list.signed))) {
        genuine.add(list);
        return true;
      }
    }
    return false;
  }

  return {
    /** Whether the issuer or another key of its name signed the list. */
    isSignedFor(list: RevocationList, issuer: X509Certificate): Promise<boolean> {
      const known = verdicts.get(list) ?? new Map<string, Promise<boolean>>();
      verdicts.set(list, known);
      const verdict = known.get(issuer.fingerprint256) ?? verify(list, issuer);
      known.set(issuer.fingerprint256, verdict);
      return verdict;
    },
    /** Whether some issuer's signature on the list was found good. */
    isGenuine: (list: RevocationList): boolean => genuine.has(list),
  };
}

const keyUsageId = '2.5.29.15';
const listSigningBit = 0b0000_0010;

/** A key usage without cRLSign (RFC 5280 §4.2.1.3, bit 6); a certificate without the extension may do all. */
function mayNotSignLists({ raw }: X509Certificate): boolean {
  const extension = extensionValue(raw, keyUsageId);
  if (extension === undefined) return false;
  const { tag, content } = readDer(extension);
  return tag !== derTag.bitString || ((content[1] ?? 0) & listSigningBit) === 0;
}

function hasSameSubject(a: X509Certificate, b: X509Certificate): boolean {
  return subjectElement(a.raw).raw.equals(subjectElement(b.raw).raw);
}

function isIssuedBy({ issuer }: RevocationList, { raw }: X509Certificate): boolean {
  const name = issuerElement(raw).raw;
  return (
    name.equals(issuer) ||
    sameDistinguishedName(distinguishedNameOf(name), distinguishedNameOf(issuer))
  );
}

/** RFC 5280 §6.3.3 (b): a part of a divided list speaks of certificates that name it. */
function covers({ scope }: RevocationList, certificate: X509Certificate): boolean {
  if (!(certificate.ca ? scope.authorities : scope.clients)) return false;
  const { points } = scope;
  if (points === undefined) return true;
  return revocationPointersOf(certificate).lists.some((url) => points.includes(url));
}
