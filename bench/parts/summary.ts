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

type Summary = ReturnType<typeof summary>;

/** Of the medians, and of the bests in brackets. */
export function ratioOf(one: Summary, other: Summary): string {
  return `${(one.median / other.median).toFixed(2)} (${(one.best / other.best).toFixed(2)})`;
}
