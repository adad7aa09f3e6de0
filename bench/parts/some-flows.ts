import { flowNames, flowTitles, bareFlows } from './figures.ts';
import type { FlowName } from './figures.ts';
import { table } from './markdown.ts';
import type { Measurements } from './rounds.ts';
import { both, cpuRatio, inWords, summary } from './summary.ts';

/** Flows by name, separated by commas; undefined for all of them. Throws for unknown names. */
export function namedFlows(text: string | undefined): readonly FlowName[] | undefined {
  return text?.split(',').map((name) => {
    const flow = flowNames.find((one) => one === name);
    if (flow === undefined) {
      throw new Error(`there is no flow ${name}, but ${flowNames.join(', ')}`);
    }
    return flow;
  });
}

/** The chosen flows beside bare oidc-provider: what a change is worth, in a few minutes. */
export function someFlowsReport(measurements: Measurements, flows: readonly FlowName[]): string {
  const head = ['flow', 'CPU µs ours', 'CPU µs bare', 'ours / bare', 'per second'];
  return table(
    head,
    flows.map((flow) => rowOf(measurements, flow)),
  ).join('\n');
}

function rowOf(measurements: Measurements, flow: FlowName): string[] {
  const ours = summary(measurements, flow, 'ours');
  const perSecond = ours.perSecond.toFixed(0);
  if (!bareFlows.includes(flow)) return [flowTitles[flow], both(ours), '', '', perSecond];
  const bare = summary(measurements, flow, 'bare');
  const ratio = inWords(cpuRatio(measurements, flow, ['ours', 'bare']));
  return [flowTitles[flow], both(ours), both(bare), ratio, perSecond];
}
