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

/** All slots of a run by flow and subject, and what a signature cost in each round. */
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
  rounds: number;
  milliseconds: number;
  signingKey: JWK;
  /** Undefined for all flows; those that are named are measured at ours and at bare alone. */
  only: readonly FlowName[] | undefined;
  progress: (text: string) => void;
}

/** The most looked-at figure gets more slots. */
const clientCredentialsTurns = 3;

/** Every variant once a round, in random order, so that what disturbs the machine disturbs all alike. */
export async function runRounds(processes: Processes, plan: Plan): Promise<Measurements> {
  const measurements: Measurements = { samples: new Map(), calibrations: [] };
  const { rounds, milliseconds, signingKey, only, progress } = plan;
  const chosen = (slots: PlannedSlot[]) => slots.filter((slot) => isChosen(slot, only));
  const warming = { slots: chosen(warmUp()), milliseconds: milliseconds * 2 };
  await runRound(processes, new Map(), warming);
  for (let round = 1; round <= rounds; round += 1) {
    progress(`round ${String(round)} of ${String(rounds)}`);
    measurements.calibrations.push(calibrate(signingKey));
    await runRound(processes, measurements.samples, { slots: chosen(everySlot()), milliseconds });
  }
  measurements.calibrations.push(calibrate(signingKey));
  return measurements;
}

interface PlannedSlot {
  flow: FlowName;
  subject: Subject;
}

function isChosen({ flow, subject }: PlannedSlot, only: Plan['only']): boolean {
  if (only === undefined) return true;
  return only.includes(flow) && (subject === 'ours' || subject === 'bare');
}

async function runRound(
  processes: Processes,
  samples: Measurements['samples'],
  { slots, milliseconds }: { slots: PlannedSlot[]; milliseconds: number },
): Promise<void> {
  for (const { flow, subject } of shuffled(slots)) {
    const slot = { servers: serversOf[subject], flow, milliseconds };
    const key = `${flow} ${subject}`;
    samples.set(key, [...(samples.get(key) ?? []), await measure(processes, slot)]);
  }
}

/** Code that ran more is compiled better: all servers of ours begin with the same work. */
function warmUp(): PlannedSlot[] {
  const others = (['wide', 'small'] as const).flatMap((subject) =>
    flowNames.map((flow) => ({ flow, subject })),
  );
  return [...everySlot(), ...others];
}

function everySlot(): PlannedSlot[] {
  const slots = (subject: Subject, flows: readonly FlowName[]) =>
    flows.map((flow) => ({ flow, subject }));
  const turns = Array.from(
    { length: clientCredentialsTurns - 1 },
    () => 'client-credentials' as const,
  );
  return [
    ...slots('ours', [...flowNames, ...turns]),
    ...slots('bare', [...bareFlows, ...turns]),
    ...slots('wide', sizeSensitiveFlows),
    ...slots('small', sizeSensitiveFlows),
    ...slots('both', ['client-credentials']),
  ];
}
