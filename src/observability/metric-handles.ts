import { Counter, Gauge, type Metric, type Registry } from 'prom-client';

/** Turns a label value into one of a bounded set; what isn't in the set becomes "other". */
export type LabelRule = (value: string) => string;

/** The values of each label of a metric. */
export type Labels<Name extends string> = Readonly<Record<Name, string>>;

export interface CounterHandle<Name extends string> {
  /** Adds `by`, or 1. */
  increment(labels: Labels<Name>, by?: number): void;
}

export interface GaugeHandle<Name extends string> {
  set(labels: Labels<Name>, value: number): void;
}

export interface HistogramHandle<Name extends string> {
  observe(labels: Labels<Name>, seconds: number): void;
}

interface Description<Name extends string> {
  name: string;
  help: string;
  labels: Readonly<Record<Name, LabelRule>>;
}

/** Exactly these values. */
export function oneOf(values: Iterable<string>): LabelRule {
  const known = new Set(values);
  return (value) => (known.has(value) ? value : 'other');
}

const safeLabel = /^[\w./:-]{1,64}$/;

/**
 * For values that our own code gives, such as route names: the first `count` well-formed ones are kept, so that a slip that
 * lets a caller's text in costs `count` time series and not all memory.
 */
export function firstSeen(count: number): LabelRule {
  const seen = new Set<string>();
  return (value) => {
    if (seen.has(value)) return value;
    if (seen.size >= count || !safeLabel.test(value)) return 'other';
    seen.add(value);
    return value;
  };
}

/** Series that are found again by their label values; more are possible, but cost what the first use does. */
const maxRemembered = 500;

/** The series of one metric: a value, or several, for each combination of label values. */
interface SeriesSet<Name extends string, Series> {
  /** That of the label values once the rules were applied; made where there is none yet. */
  of(labels: Labels<Name>): Series;
  all(): Iterable<Series>;
}

/** Series that `create` makes once for the bounded label values, found by what was given for those that come most. */
function createSeriesSet<Name extends string, Series>(
  rules: Readonly<Record<Name, LabelRule>>,
  create: (labels: Record<Name, string>) => Series,
): SeriesSet<Name, Series> {
  const entries = Object.entries<LabelRule>(rules) as [Name, LabelRule][];
  const remembered = new Map<string, Series>();
  const bounded = new Map<string, Series>();

  function boundedSeries(labels: Labels<Name>): Series {
    const values: Partial<Record<Name, string>> = {};
    let key = '';
    for (const [name, rule] of entries) {
      const value = rule(labels[name]);
      values[name] = value;
      key += `${value}\0`;
    }
    const known = bounded.get(key) ?? create(values as Record<Name, string>);
    bounded.set(key, known);
    return known;
  }

  return {
    of(labels) {
      let key = '';
      for (const [name] of entries) key += `${labels[name]}\0`;
      const known = remembered.get(key);
      if (known !== undefined) return known;
      const series = boundedSeries(labels);
      if (remembered.size < maxRemembered) remembered.set(key, series);
      return series;
    },
    all: () => bounded.values(),
  };
}

/** What was counted since the last scrape, or the last value: prom-client hashes the labels at each call, so it is told then. */
interface Tally<Name extends string> {
  labels: Record<Name, string>;
  value: number;
}

export function createCounter<Name extends string>(
  registry: Registry,
  { name, help, labels }: Description<Name>,
): CounterHandle<Name> {
  const labelNames = Object.keys(labels) as Name[];
  const series = createSeriesSet<Name, Tally<Name>>(labels, (values) => ({
    labels: values,
    value: 0,
  }));
  new Counter<Name>({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      for (const tally of series.all()) {
        this.inc(tally.labels, tally.value);
        tally.value = 0;
      }
    },
  });
  return {
    increment(values, by = 1) {
      series.of(values).value += by;
    },
  };
}

export function createGauge<Name extends string>(
  registry: Registry,
  { name, help, labels }: Description<Name>,
): GaugeHandle<Name> {
  const labelNames = Object.keys(labels) as Name[];
  const series = createSeriesSet<Name, Tally<Name>>(labels, (values) => ({
    labels: values,
    value: 0,
  }));
  new Gauge<Name>({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      for (const tally of series.all()) this.set(tally.labels, tally.value);
    },
  });
  return {
    set(values, value) {
      series.of(values).value = value;
    },
  };
}

/** Seconds; 1 ms to 10 s, which is past every timeout of a request. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How often a time fell into each bucket, and beyond the last. */
interface Distribution {
  labels: Record<string, string>;
  counts: number[];
  sum: number;
}

export function createHistogram<Name extends string>(
  registry: Registry,
  { name, help, labels }: Description<Name>,
): HistogramHandle<Name> {
  const series = createSeriesSet<Name, Distribution>(labels, (values) => ({
    labels: values,
    counts: secondsBuckets.map(() => 0).concat(0),
    sum: 0,
  }));
  if (Object.keys(labels).length === 0) series.of({} as Labels<Name>); // there from the start, with zeros
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    get: () => Promise.resolve({ ...metric, values: [...series.all()].flatMap(linesOf) }),
  };
  const linesOf = (distribution: Distribution) => exposition(name, distribution);
  // In place of prom-client's histogram, which makes ten objects for each time that is noted.
  registry.registerMetric(metric as unknown as Metric<Name>);
  return {
    observe(values, seconds) {
      const distribution = series.of(values);
      distribution.sum += seconds;
      const bucket = bucketOf(seconds);
      distribution.counts[bucket] = (distribution.counts[bucket] ?? 0) + 1;
    },
  };
}

function bucketOf(seconds: number): number {
  let index = 0;
  while (index < secondsBuckets.length && seconds > (secondsBuckets[index] ?? 0)) index += 1;
  return index;
}

/** The values of one series as Prometheus wants them: buckets add up, and each names its upper bound. */
function exposition(name: string, { labels, counts, sum }: Distribution) {
  let count = 0;
  const buckets = counts.map((own, index) => {
    count += own;
    const le = String(secondsBuckets[index] ?? '+Inf');
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
