import type { RequestContext } from '../observability/request-context.ts';
import { createNotes } from '../observability/request-notes.ts';
import type { EndpointGroup } from './policy.ts';
import type { Judged, Judgement, RequestLimits, Subjects } from './request-limits.ts';
import type { SubjectKind } from './rule.ts';

/** The limits of the requests that are being answered. */
export interface LimitedRequests {
  /** A request has arrived from a network. Says what refuses it. */
  begin(request: RequestContext, group: EndpointGroup, network: string): MaybeLater;
  /** A request of this group, too, which shows only once it was routed. */
  also(request: RequestContext | undefined, group: EndpointGroup, network: string): MaybeLater;
  /** Somebody is named by a request, or proved who they are. Named again, they count once and are told the same. */
  name(request: RequestContext | undefined, kind: SubjectKind, subject: string): MaybeLater;
  /** Who was named could not prove it: it does not count for them. */
  disprove(request: RequestContext | undefined, kind: SubjectKind): void;
  /** The request is answered. What counts failures only is given back if it ended well, or somebody proved who they are. */
  end(request: RequestContext, isWell: boolean): readonly Judged[];
}

type MaybeLater = Judged | undefined | Promise<Judged | undefined>;

interface Limited {
  group: EndpointGroup;
  judged: Judged[];
}

/** Who fails counts for the network until a client or a key has proved who it is; customers' failures count always. */
const proofs: readonly SubjectKind[] = ['client', 'api-key'];

/** Remembers for each request what the rules said, for its headers, and for what is taken back. */
export function createLimitedRequests(limits: RequestLimits): LimitedRequests {
  const requests = createNotes<RequestContext, Limited>();

  function keep(limited: Limited, { judged, refusedBy }: Judgement): Judged | undefined {
    if (limited.judged.length === 0) limited.judged = judged;
    else limited.judged.push(...judged);
    if (refusedBy !== undefined) limited.judged.push(refusedBy);
    return refusedBy;
  }

  function ask(limited: Limited, group: EndpointGroup, subjects: Subjects): MaybeLater {
    const said = limits.admit(group, subjects);
    return said instanceof Promise
      ? said.then((judgement) => keep(limited, judgement))
      : keep(limited, said);
  }

  return {
    begin(request, group, network) {
      const limited: Limited = { group, judged: [] };
      requests.set(request, limited);
      return ask(limited, group, { address: network, everyone: '' });
    },
    also(request, group, network) {
      const limited = request && requests.of(request);
      return limited && ask(limited, group, { address: network, everyone: '' });
    },
    name(request, kind, subject) {
      const limited = request && requests.of(request);
      if (limited === undefined) return undefined;
      const said = limited.judged.filter((one) => one.rule.per === kind && one.subject === subject);
      if (said.length === 0) return ask(limited, limited.group, { [kind]: subject });
      return said.find(({ verdict }) => !verdict.allowed);
    },
    disprove(request, kind) {
      const limited = request && requests.of(request);
      if (limited === undefined) return;
      const mistaken = limited.judged.filter(
        ({ rule, verdict }) => rule.per === kind && verdict.allowed,
      );
      limits.giveBack(mistaken);
      limited.judged = limited.judged.filter((one) => !mistaken.includes(one));
    },
    end(request, isWell) {
      const { judged = [] } = requests.of(request) ?? {};
      const isProof = ({ rule, verdict }: Judged) => verdict.allowed && proofs.includes(rule.per);
      if (!isWell && !judged.some(isProof)) return judged;
      const isForgiven = ({ rule, verdict }: Judged) =>
        verdict.allowed && rule.counts === 'failures';
      const forgiven = judged.filter(isForgiven);
      if (forgiven.length === 0) return judged;
      limits.giveBack(forgiven);
      return judged.filter((one) => !forgiven.includes(one));
    },
  };
}
