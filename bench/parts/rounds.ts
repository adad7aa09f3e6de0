import type { JWK } from 'jose';
import { bareFlows, flowNames, sizeSensitiveFlows } from './figures.ts';
import type { FlowName } from './figures.ts';
import { calibrate, measure } from './measure.ts';
import type { Calibration, Processes, Sample } from './measure.ts';
import { shuffled } from './statistics.ts';
import type { ServerName } from './world.ts';

/** Which servers a slot loads; "both" are the two processes on one database. */
export type Subject = 'ours' | 'bare' | 'wide' | 'small' | 'both';

const serversOf: Record<Subject, ServerName[]> = {
  ours: ['large'],
  bare: ['bare'],
  wide: ['wide'],
  small: ['small'],
  both: ['large', 'second'],
};

/**
 * All slots of a run by flow and subject, and what a signature cost in each round. Samples of one flow with the same
 * index at several subjects followed one another ("both" stands alone).
 */
export interface Measurements {
  samples: Map<string, Sample[]>;
  calibrations: Calibration[];
}

export function samplesOf(
  { samples }: Measurements,
  flow: FlowName,
  subject: Subject,
): readonly Sample[] {
  return samples.get(`${flow} ${subject}`) ?? [];
}

interface Plan {
  /** Undefined for as many as a run of ten minutes has time for. */
  rounds: number | undefined;
  milliseconds: number;
  signingKey: JWK;
  /** Undefined for all flows; those that are named are measured at ours and at bare alone. */
  only: readonly FlowName[] | undefined;
  progress: (text: string) => void;
}

/** The most looked-at figure is measured so many times in a round. */
const clientCredentialsTurns = 2;

/**
 * Every variant once a round, the subjects of a flow right after one another, all in random order: what disturbs the
 * machine disturbs those alike that are compared.
 */
export async function runRounds(processes: Processes, plan: Plan): Promise<Measurements> {
  const measurements: Measurements = { samples: new Map(), calibrations: [] };
  const { rounds, milliseconds, signingKey, only, progress } = plan;
  const chosen = (blocks: Block[]) => blocks.flatMap((block) => chosenOf(block, only));
  progress('warming up');
  await runRound(processes, new Map(), { blocks: chosen(warmUp()), milliseconds });
  const blocks = chosen(everyBlock());
  for (let round = 1; isTimeFor(round, rounds); round += 1) {
    progress(`round ${String(round)} of ${String(rounds ?? usualRounds.most)}`);
    measurements.calibrations.push(calibrate(signingKey));
    await runRound(processes, measurements.samples, { blocks, milliseconds });
  }
  measurements.calibrations.push(calibrate(signingKey));
  return measurements;
}

const usualRounds = { least: 3, most: 6 } as const;
/** Of this process: none begins later, except the least. What follows the rounds takes two or three. */
const lastBeginMinutes = 5;

/** Others on the machine make rounds longer: better fewer of them than a run that nobody waits for. */
function isTimeFor(round: number, asked: number | undefined): boolean {
  if (asked !== undefined) return round <= asked;
  if (round <= usualRounds.least) return true;
  return round <= usualRounds.most && performance.now() < lastBeginMinutes * 60_000;
}

/** A flow, and whom it is measured at within a few seconds. */
interface Block {
  flow: FlowName;
  subjects: readonly Subject[];
}

function chosenOf({ flow, subjects }: Block, only: Plan['only']): Block[] {
  if (only === undefined) return [{ flow, subjects }];
  if (!only.includes(flow)) return [];
  return [{ flow, subjects: subjects.filter((one) => one === 'ours' || one === 'bare') }];
}

async function runRound(
  processes: Processes,
  samples: Measurements['samples'],
  { blocks, milliseconds }: { blocks: readonly Block[]; milliseconds: number },
): Promise<void> {
  for (const { flow, subjects } of shuffled(blocks)) {
    for (const subject of shuffled(subjects)) {
      const slot = { servers: serversOf[subject], flow, milliseconds };
      const key = `${flow} ${subject}`;
      samples.set(key, [...(samples.get(key) ?? []), await measure(processes, slot)]);
    }
  }
}

/** Code that ran more is compiled better: all servers of ours begin with the same work. */
function warmUp(): Block[] {
  return flowNames.map((flow) => ({
    flow,
    subjects: ['ours', 'wide', 'small', ...(bareFlows.includes(flow) ? ['bare' as const] : [])],
  }));
}

const both: Block = { flow: 'client-credentials', subjects: ['both'] };

function everyBlock(): Block[] {
  const turns = Array.from(
    { length: clientCredentialsTurns - 1 },
    () => 'client-credentials' as const,
  );
  return [...[...flowNames, ...turns].map((flow) => ({ flow, subjects: subjectsOf(flow) })), both];
}

function subjectsOf(flow: FlowName): Subject[] {
  const beside: Subject[] = bareFlows.includes(flow) ? ['bare'] : [];
  const grown: Subject[] = sizeSensitiveFlows.includes(flow) ? ['wide', 'small'] : [];
  return ['ours', ...beside, ...grown];
}
