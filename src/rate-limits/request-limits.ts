import type { Verdict } from './entry.ts';
import type { Limiter } from './limiter.ts';
import type { EndpointGroup, PolicyRule, RateLimitPolicy } from './policy.ts';
import type { SubjectKind } from './rule.ts';

/** What a rule says of a request. */
export interface Judged {
  rule: PolicyRule;
  subject: string;
  verdict: Verdict;
}

/** Who a request is from, as far as that is known. */
export type Subjects = Partial<Record<SubjectKind, string | undefined>>;

/** What the rules say: every one that was asked, and the one that refuses. */
export interface Judgement {
  judged: Judged[];
  refusedBy: Judged | undefined;
}

/** The rules of a policy, asked for one request at a time. */
export interface RequestLimits {
  /**
   * Counts a request of a group by all rules for these subjects; a subject that is undefined is not asked about. Where
   * one rule refuses, what the others counted is taken back. A promise only where a store has to be asked.
   */
  admit(group: EndpointGroup, subjects: Subjects): Judgement | Promise<Judgement>;
  /** Takes back what these rules counted. */
  giveBack(judged: readonly Judged[]): void;
}

/** The limits of `policy`; `onRefusal` is told of each. */
export function createRequestLimits(
  policy: RateLimitPolicy,
  limiter: Pick<Limiter, 'admit' | 'giveBack'>,
  onRefusal: (refusedBy: Judged, group: EndpointGroup) => void,
): RequestLimits {
  const rulesOf = Map.groupBy(
    policy.rules.flatMap((rule) => rule.groups.map((group) => ({ group, rule }))),
    ({ group }) => group,
  );

  function giveBack(judged: readonly Judged[]): void {
    for (const { rule, subject } of judged) limiter.giveBack(rule, subject);
  }

  /** Goes on where it had to wait. */
  function judgeFrom(first: number, asking: Asking): Judgement | Promise<Judgement> {
    const { rules, subjects, judged } = asking;
    for (let i = first; i < rules.length; i += 1) {
      const rule = rules[i]?.rule;
      const subject = rule && subjects[rule.per];
      if (rule === undefined || subject === undefined) continue;
      const verdict = limiter.admit(rule, subject);
      if (verdict instanceof Promise) {
        return verdict.then(
          (said) => settle({ rule, subject, verdict: said }, asking) ?? judgeFrom(i + 1, asking),
        );
      }
      const refusal = settle({ rule, subject, verdict }, asking);
      if (refusal !== undefined) return refusal;
    }
    return { judged, refusedBy: undefined };
  }

  function settle(one: Judged, { judged, group }: Asking): Judgement | undefined {
    if (one.verdict.allowed) {
      judged.push(one);
      return undefined;
    }
    giveBack(judged);
    onRefusal(one, group);
    return { judged: [], refusedBy: one };
  }

  return {
    admit(group, subjects) {
      const rules = rulesOf.get(group);
      if (rules === undefined) return { judged: [], refusedBy: undefined };
      return judgeFrom(0, { group, rules, subjects, judged: [] });
    },
    giveBack,
  };
}

interface Asking {
  group: EndpointGroup;
  rules: readonly { rule: PolicyRule }[];
  subjects: Subjects;
  judged: Judged[];
}
