/** How requests are counted. */
export type Algorithm = 'fixed-window' | 'sliding-window' | 'token-bucket';

/** Who a rule counts, each for itself. */
export type SubjectKind = 'address' | 'client' | 'customer' | 'api-key' | 'everyone';

/** A limit. */
export interface Rule {
  /** Goes out in the RateLimit headers. */
  name: string;
  algorithm: Algorithm;
  /** Requests in a window; of a token bucket, how many come back in one. */
  limit: number;
  windowSeconds: number;
  /** Of a token bucket: how many at once; `limit` when not given. */
  burst?: number | undefined;
  /**
   * How many each process may admit before a shared store was told; 0 asks the store for each request. 5 % of the
   * limit when not given.
   */
  slack?: number | undefined;
  /** `local` counts by this process alone, `closed` refuses; `local` when not given. */
  whenStoreIsDown?: 'local' | 'closed' | undefined;
}

/** A rule as the algorithms need it. */
export interface Meter {
  /** Most that may be held at once. */
  ceiling: number;
  /** Counters that are added up; 1 for a fixed window and for a bucket. */
  slices: number;
  /** How long one of them counts; 1 for a bucket, whose time is the millisecond. */
  sliceMs: number;
  /** What flows out of a bucket in a millisecond; 0 for windows. */
  drain: number;
  /** How long a count is of any use. */
  memoryMs: number;
  slack: number;
  /** What it counts by; counts by other rules are never taken for it. */
  shape: string;
}

/** A window of ten slices and the one that is going on: together they never miss a request of the last window. */
const slidingSlices = 10;

const defaultSlackShare = 0.05;

/** A rule in the algorithms' numbers. */
export function meterOf(rule: Rule): Meter {
  const { algorithm, limit, windowSeconds, burst } = rule;
  const windowMs = windowSeconds * 1000;
  const common = {
    slack: slackOf(rule),
    shape: [algorithm, limit, windowSeconds, burst ?? limit].join('/'),
  };
  if (algorithm === 'token-bucket') {
    const ceiling = burst ?? limit;
    const drain = limit / windowMs;
    return { ...common, ceiling, slices: 1, sliceMs: 1, drain, memoryMs: ceiling / drain };
  }
  const isSliding = algorithm === 'sliding-window';
  const slices = isSliding ? slidingSlices + 1 : 1;
  const sliceMs = isSliding ? windowMs / slidingSlices : windowMs;
  return { ...common, ceiling: limit, slices, sliceMs, drain: 0, memoryMs: slices * sliceMs };
}

/** A rule that refuses without the store must ask it before. */
function slackOf({ limit, slack, whenStoreIsDown }: Rule): number {
  if (whenStoreIsDown === 'closed') return 0;
  return slack ?? Math.floor(limit * defaultSlackShare);
}
