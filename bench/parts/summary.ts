import type { FlowName } from './figures.ts';
import { samplesOf } from './rounds.ts';
import type { Measurements, Subject } from './rounds.ts';
import { median, quantile } from './statistics.ts';

/** All slots of a flow at one subject in a few numbers. */
export function summary(measurements: Measurements, flow: FlowName, subject: Subject) {
  const samples = samplesOf(measurements, flow, subject);
  const cpu = samples.map((sample) => sample.cpu);
  return {
    median: median(cpu),
    best: quantile(cpu, 0),
    perSecond: median(samples.map((sample) => sample.perSecond)),
    p50Ms: median(samples.map((sample) => sample.p50Ms)),
    p99Ms: median(samples.map((sample) => sample.p99Ms)),
  };
}

/** The median, and the best in brackets. */
export function both({ median: middle, best }: { median: number; best: number }): string {
  return `${middle.toFixed(0)} (${best.toFixed(0)})`;
}

/** A ratio of two subjects, of slots that followed one another. */
export interface Ratio {
  median: number;
  /** Quartiles. */
  low: number;
  high: number;
}

/** CPU of one subject by that of another. */
export function cpuRatio(
  measurements: Measurements,
  flow: FlowName,
  [one, other]: readonly [Subject, Subject],
): Ratio {
  const others = samplesOf(measurements, flow, other);
  return ratioSummary(
    samplesOf(measurements, flow, one).map(({ cpu }, at) => cpu / (others[at]?.cpu ?? Number.NaN)),
  );
}

/** Of ratios of which each stems from one time. */
export function ratioSummary(ratios: readonly number[]): Ratio {
  return { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) };
}

/** The median, and the quartiles in brackets. */
export function inWords({ median: middle, low, high }: Ratio): string {
  return `${middle.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}
