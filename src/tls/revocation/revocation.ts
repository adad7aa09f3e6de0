import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../observability/logger.ts';
import { Problem } from '../../problem.ts';
import {
  createRevocationLists,
  type ListSettings,
  type RevocationLists,
} from './revocation-lists.ts';
import { revocationPointersOf } from './revocation-names.ts';
import { createOcspClient, type OcspSettings } from './revocation-ocsp.ts';
import { linksOf, type Link } from './revocation-path.ts';
import { causeText, type Verdict } from './revocation-verdict.ts';

/** Whether client certificates were revoked. */
export interface RevocationService {
  /**
   * Checks the first certificate and everything between it and a trusted authority, whose certificate need not be in
   * the chain. Only `good` may be accepted: the fail mode is applied already, so that `unknown` means refused. Never
   * rejects.
   */
  check(chain: readonly X509Certificate[]): Promise<Verdict>;
  /** Reads the configured lists. Never rejects. */
  preload(): Promise<void>;
  /** Seconds since each list that is in use was made, by where it comes from. */
  listAges(): Iterable<readonly [source: string, seconds: number]>;
}

/** How revocation is checked. */
export interface RevocationSettings {
  /** What an unknown status does: `closed` refuses, `open` accepts; `off` does not ask. */
  readonly mode: 'off' | 'open' | 'closed';
  /** In the order in which they are asked; the next one when one does not know. */
  readonly methods: readonly RevocationMethod[];
  /** Whether a certificate is accepted that names no source, while none is configured for its issuer either. */
  readonly acceptWithoutSource: boolean;
  readonly lists: ListSettings;
  readonly ocsp: OcspSettings;
}

export type RevocationMethod = 'ocsp' | 'crl';

/** The guarded way out; `security/outbound-fetch.ts` fits, with plain http let through. */
export type RevocationFetch = (url: string, options?: RequestInit) => Promise<Response>;

export interface RevocationDependencies {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  /** The truststore. */
  readonly authorities: readonly X509Certificate[];
  readonly fetch: RevocationFetch;
  /** Told of each check. `accepted`: unknown, but the mode is `open`. */
  readonly onOutcome: (outcome: 'good' | 'revoked' | 'unknown' | 'accepted') => void;
  readonly onFailure: (method: RevocationMethod) => void;
}

/** Checks client certificates against revocation lists (RFC 5280) and responders (RFC 6960). */
export function createRevocation(
  settings: RevocationSettings,
  deps: RevocationDependencies,
): RevocationService {
  const { clock, authorities } = deps;
  const lists = createRevocationLists(settings.lists, {
    ...{ clock, authorities, onFailure: reporter('crl', deps) },
    download: (url) => download(deps.fetch, url),
  });
  const ocsp = createOcspClient(settings.ocsp, {
    clock,
    ask: (url, request) => download(deps.fetch, url, ocspPost(request)),
    isRevoked: async (link) => (await lists.verdictOn(link))?.status === 'revoked',
    onFailure: reporter('ocsp', deps),
  });
  const judge = createJudge(settings, { lists, ocsp });
  const paths = new WeakMap<X509Certificate, readonly Link[] | undefined>();

  function pathOf(chain: readonly X509Certificate[]): readonly Link[] | undefined {
    const [leaf] = chain;
    if (leaf === undefined) return undefined;
    const path = paths.get(leaf) ?? linksOf(chain, authorities);
    if (path !== undefined) paths.set(leaf, path);
    return path;
  }

  /** A certificate that nobody vouches for must not make us send requests. */
  async function verdictOn(chain: readonly X509Certificate[]): Promise<Verdict> {
    const path = pathOf(chain);
    if (path === undefined) return { status: 'unknown', reason: 'the chain is not trusted' };
    return worst(await Promise.all(path.map(judge)));
  }

  return {
    async check(chain) {
      if (settings.mode === 'off') return { status: 'good' };
      const verdict = await verdictOn(chain).catch(unreadable);
      const isAccepted = verdict.status === 'unknown' && settings.mode === 'open';
      deps.onOutcome(isAccepted ? 'accepted' : verdict.status);
      if (!isAccepted) return verdict;
      const subject = chain[0]?.subject.replaceAll('\n', ', ');
      const { reason } = verdict;
      deps.logger.warn('A certificate of unknown status was accepted', { subject, reason });
      return { status: 'good' };
    },
    preload: () => (settings.mode === 'off' ? Promise.resolve() : lists.preload()),
    *listAges() {
      for (const [source, { thisUpdate }] of lists.known()) {
        yield [source, (clock.now().getTime() - thisUpdate.getTime()) / 1000];
      }
    },
  };
}

interface Sources {
  readonly lists: Pick<RevocationLists, 'verdictOn'>;
  readonly ocsp: Pick<RevocationLists, 'verdictOn'>;
}

function createJudge({ methods, acceptWithoutSource }: RevocationSettings, sources: Sources) {
  const asked = methods.map((method) => (method === 'ocsp' ? sources.ocsp : sources.lists));

  return async function judge(link: Link): Promise<Verdict> {
    const reasons: string[] = [];
    for (const source of asked) {
      const verdict = await source.verdictOn(link);
      if (verdict !== undefined && verdict.status !== 'unknown') return verdict;
      if (verdict !== undefined) reasons.push(verdict.reason);
    }
    if (reasons.length > 0) return { status: 'unknown', reason: reasons.join('; ') };
    if (revocationPointersOf(link.certificate).any) {
      return { status: 'unknown', reason: 'no source that the certificate names may be used' };
    }
    if (acceptWithoutSource) return { status: 'good' };
    const reason = 'the certificate names no source, and none is configured for its issuer';
    return { status: 'unknown', reason };
  };
}

function worst(verdicts: readonly Verdict[]): Verdict {
  const byStatus = (status: Verdict['status']) => verdicts.find((one) => one.status === status);
  return byStatus('revoked') ?? byStatus('unknown') ?? { status: 'good' };
}

function unreadable(error: unknown): Verdict {
  return { status: 'unknown', reason: `the status can't be learnt: ${causeText(error)}` };
}

function reporter(
  method: RevocationMethod,
  { logger, onFailure }: Pick<RevocationDependencies, 'logger' | 'onFailure'>,
) {
  return (source: string, error: unknown): void => {
    onFailure(method);
    logger.warn('A revocation source failed', { method, source, error });
  };
}

function ocspPost(request: Buffer): RequestInit {
  const headers = { 'content-type': 'application/ocsp-request' };
  return { method: 'POST', headers, body: new Uint8Array(request) };
}

async function download(
  fetch: RevocationFetch,
  url: string,
  options?: RequestInit,
): Promise<Buffer> {
  const response = await fetch(url, options);
  if (response.status !== 200) {
    const detail = `The answer has the status ${String(response.status)}.`;
    throw new Problem('outbound_refused', { detail });
  }
  return Buffer.from(await response.arrayBuffer());
}
