import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

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

/** What `create` makes for label values once the rules were applied, made once for the values that come most. */
function rememberSeries<Name extends string, Series>(
  rules: Readonly<Record<Name, LabelRule>>,
  create: (labels: Record<Name, string>) => Series,
): (labels: Labels<Name>) => Series {
  const entries = Object.entries<LabelRule>(rules) as [Name, LabelRule][];
  const remembered = new Map<string, Series>();

  function createFor(labels: Labels<Name>): Series {
    const bounded: Partial<Record<Name, string>> = {};
    for (const [name, rule] of entries) bounded[name] = rule(labels[name]);
    return create(bounded as Record<Name, string>);
  }

  return (labels) => {
    let key = '';
    for (const [name] of entries) key += `${labels[name]}\0`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const series = createFor(labels);
    if (remembered.size < maxRemembered) remembered.set(key, series);
    return series;
  };
}

export function createCounter<Name extends string>(
  registry: Registry,
  { name, help, labels }: Description<Name>,
): CounterHandle<Name> {
  const labelNames = Object.keys(labels) as Name[];
  const counter = new Counter<Name>({ name, help, labelNames, registers: [registry] });
  const seriesOf = rememberSeries(labels, (values) => counter.labels(values));
  return {
    increment(values, by = 1) {
      seriesOf(values).inc(by);
    },
  };
}

export function createGauge<Name extends string>(
  registry: Registry,
  { name, help, labels }: Description<Name>,
): GaugeHandle<Name> {
  const labelNames = Object.keys(labels) as Name[];
  const gauge = new Gauge<Name>({ name, help, labelNames, registers: [registry] });
  const seriesOf = rememberSeries(labels, (values) => gauge.labels(values));
  return {
    set(values, value) {
      seriesOf(values).set(value);
    },
  };
}

/** Seconds; 1 ms to 10 s, which is past every timeout of a request. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createHistogram<Name extends string>(
  registry: Registry,
  { name, help, labels }: Description<Name>,
): HistogramHandle<Name> {
  const labelNames = Object.keys(labels) as Name[];
  const histogram = new Histogram<Name>({
    name,
    help,
    labelNames,
    buckets: secondsBuckets,
    registers: [registry],
  });
  const seriesOf = rememberSeries(labels, (values) => histogram.labels(values));
  return {
    observe(values, seconds) {
      seriesOf(values).observe(seconds);
    },
  };
}
