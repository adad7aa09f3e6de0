import { availableParallelism, cpus, totalmem } from 'node:os';
import { bareFlows, flowNames, flowTitles, sizeSensitiveFlows } from './figures.ts';
import type { FlowName } from './figures.ts';
import { keyRingLines } from './key-ring.ts';
import type { KeyRingFindings } from './key-ring.ts';
import { table } from './markdown.ts';
import { registrationLines } from './registration-lines.ts';
import type { RegistrationFindings } from './registrations.ts';
import type { Measurements, Subject } from './rounds.ts';
import type { Usage } from './server-calls.ts';
import { median, quantile } from './statistics.ts';
import { both, cpuRatio, inWords, summary } from './summary.ts';
import { targetLines } from './targets.ts';
import { upkeepRows } from './upkeep.ts';
import type { UpkeepFinding } from './upkeep.ts';
import { verificationLines } from './verifications.ts';
import type { VerificationFindings } from './verifications.ts';

/** Everything that one run found out. */
export interface Findings {
  measurements: Measurements;
  /** Statements of one unit, in order. */
  statements: Record<FlowName, readonly string[]>;
  /** After all load. */
  memory: Record<'ours' | 'bare', Usage>;
  startMs: readonly number[];
  upkeep: readonly UpkeepFinding[];
  keyRing: KeyRingFindings;
  registrations: RegistrationFindings;
  verifications: VerificationFindings;
  loadAverages: { before: number; after: number };
  postgresVersion: string;
  minutes: number;
}

/** The findings as Markdown, which is also what the terminal shows. */
export function report(findings: Findings): string {
  const { measurements } = findings;
  return [
    ...machine(findings),
    '',
    ...targetLines(findings),
    '',
    ...table(
      [
        'flow',
        'CPU µs ours',
        'CPU µs bare',
        'ours / bare',
        'per second',
        'p50 ms',
        'p99 ms',
        'SQL',
      ],
      flowNames.map((flow) => flowRow(findings, flow)),
    ),
    '',
    'CPU columns: median (best) over the slots. Ratios, here and below: median (quartiles) of the ratios of slots that followed one another.',
    '',
    ...tokenLines(measurements),
    ...processLines(findings),
    ...verificationLines(findings.verifications),
    ...keyRingLines(findings.keyRing),
    '',
    ...table(
      [
        'flow',
        'CPU µs: 10 clients, 1,000 grants',
        '100,000 clients',
        'ratio',
        'and 1,000,000 grants and consents',
        'ratio',
      ],
      sizeSensitiveFlows.map((flow) => sizeRow(measurements, flow)),
    ),
    '',
    `While ${String(upkeepRows)} expired rows are cleaned up and the table is vacuumed without pause:`,
    '',
    ...table(
      ['flow', 'per second', 'p50 ms', 'p99 ms', 'during it', 'p50 ms', 'p99 ms'],
      findings.upkeep.map(upkeepRow),
    ),
    '',
    ...registrationLines(findings.registrations),
    '',
    'SQL statements of one unit, caches warm:',
    '',
    ...flowNames.map((flow) => `- ${flowTitles[flow]}: ${counted(findings.statements[flow])}`),
    `- registration: ${counted(findings.registrations.statements)}`,
  ].join('\n');
}

function machine(findings: Findings): string[] {
  const { measurements, loadAverages, postgresVersion, minutes } = findings;
  const signatures = measurements.calibrations.map(({ signature }) => signature);
  const shares = measurements.calibrations.map(({ share }) => share);
  const [processor] = cpus();
  const gib = totalmem() / 2 ** 30;
  return [
    `- machine: ${String(availableParallelism())} × ${processor?.model ?? 'unknown'}, ${gib.toFixed(0)} GiB; Node ${process.versions.node}, Postgres ${postgresVersion}`,
    `- noise: load ${loadAverages.before.toFixed(1)} before and ${loadAverages.after.toFixed(1)} at the end (our own processes included); an RSA-2048 signature took ${quantile(signatures, 0).toFixed(0)} to ${quantile(signatures, 1).toFixed(0)} µs CPU, median ${median(signatures).toFixed(0)}; a core that we wanted was ours for ${percent(median(shares))} of the time, at worst ${percent(quantile(shares, 0))}`,
    `- it took ${minutes.toFixed(1)} minutes; rounds: ${String(measurements.calibrations.length - 1)}`,
  ];
}

function flowRow(findings: Findings, flow: FlowName): string[] {
  const ours = summary(findings.measurements, flow, 'ours');
  const sql = String(findings.statements[flow].length);
  const measured = [ours.perSecond.toFixed(0), ours.p50Ms.toFixed(1), ours.p99Ms.toFixed(1), sql];
  if (!bareFlows.includes(flow)) return [flowTitles[flow], both(ours), '', '', ...measured];
  const bare = summary(findings.measurements, flow, 'bare');
  const ratio = inWords(cpuRatio(findings.measurements, flow, ['ours', 'bare']));
  return [flowTitles[flow], both(ours), both(bare), ratio, ...measured];
}

function sizeRow(measurements: Measurements, flow: FlowName): string[] {
  const small = summary(measurements, flow, 'small');
  const wide = summary(measurements, flow, 'wide');
  const large = summary(measurements, flow, 'ours');
  const ratio = (pair: [Subject, Subject]) => inWords(cpuRatio(measurements, flow, pair));
  const clients = [both(wide), ratio(['wide', 'small'])];
  return [flowTitles[flow], both(small), ...clients, both(large), ratio(['ours', 'wide'])];
}

/** What a caller notices of the upkeep. */
function upkeepRow({ flow, quiet, busy }: UpkeepFinding): string[] {
  const [before, during] = [quiet, busy].map((samples) => ({
    perSecond: median(samples.map((sample) => sample.perSecond)).toFixed(0),
    p50: median(samples.map((sample) => sample.p50Ms)).toFixed(1),
    p99: median(samples.map((sample) => sample.p99Ms)).toFixed(1),
  }));
  const cells = [before, during].flatMap((row) => [row?.perSecond, row?.p50, row?.p99]);
  return [flowTitles[flow], ...cells.map((cell) => cell ?? '')];
}

function tokenLines(measurements: Measurements): string[] {
  const signatures = measurements.calibrations.map(({ signature }) => signature);
  const share = (subject: Subject) => {
    const { median: middle, best } = summary(measurements, 'client-credentials', subject);
    const ofMedians = median(signatures) / middle;
    return `${ofMedians.toFixed(2)} (${(quantile(signatures, 0) / best).toFixed(2)})`;
  };
  const one = summary(measurements, 'client-credentials', 'ours');
  const two = summary(measurements, 'client-credentials', 'both');
  return [
    `- share of the raw RSA-2048 rate that client credentials reach: ours ${share('ours')}, bare ${share('bare')}`,
    `- two processes on one database: ${both(two)} µs CPU a token against ${both(one)} of one, ${two.perSecond.toFixed(0)} tokens a second against ${one.perSecond.toFixed(0)}, with the callers and Postgres on the same cores`,
  ];
}

function processLines({ memory, startMs }: Findings): string[] {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  return [
    `- resident after all load: ours ${mib(memory.ours.residentBytes)} MiB (${mib(memory.ours.heapBytes)} MiB of it JavaScript heap), bare ${mib(memory.bare.residentBytes)} MiB (${mib(memory.bare.heapBytes)} MiB; its Maps keep every token)`,
    `- start to first answer with an existing database: median ${median(startMs).toFixed(0)} ms, best ${quantile(startMs, 0).toFixed(0)} ms of ${String(startMs.length)}`,
  ];
}

function counted(found: readonly string[]): string {
  if (found.length === 0) return 'none';
  const counts = Map.groupBy(found, (statement) => statement);
  return [...counts]
    .map(([statement, { length }]) => `${length > 1 ? `${String(length)} × ` : ''}\`${statement}\``)
    .join(', ');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
