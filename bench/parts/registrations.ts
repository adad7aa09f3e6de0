import { cpuDuring } from './measure.ts';
import type { Processes } from './measure.ts';

/** Registrations at a server with many clients, and at one with few. */
export interface RegistrationFinding {
  server: (typeof registrationServers)[number];
  /** Of each registration. */
  milliseconds: readonly number[];
  /** CPU microseconds of one, for each turn. */
  cpu: readonly number[];
}

/** What the registrations found out. */
export interface RegistrationFindings {
  bySize: readonly RegistrationFinding[];
  /** SQL of one. */
  statements: readonly string[];
}

const registrationServers = ['large', 'small'] as const;
const turns = 4;
const perTurn = 50;
/** Pools, the directory's keys and compiled code: the first few are not like the others. */
const warmUps = 20;

/**
 * Third parties that nobody has seen register one after another, at both servers in turn. Comes last: it makes the small
 * database larger.
 */
export async function measureRegistrations(
  processes: Processes,
  progress: (text: string) => void,
): Promise<RegistrationFindings> {
  progress('registering');
  const bySize = registrationServers.map((server) => ({
    server,
    milliseconds: [] as number[],
    cpu: [] as number[],
  }));
  for (const { server } of bySize) await registerAt(processes, server, warmUps);
  for (let turn = 0; turn < turns; turn += 1) {
    for (const { server, milliseconds, cpu } of bySize) {
      const found = await registerAt(processes, server, perTurn);
      milliseconds.push(...found.result);
      cpu.push(found.cpuMicroseconds / perTurn);
    }
  }
  return { bySize, statements: await trace(processes) };
}

async function registerAt(
  processes: Processes,
  server: RegistrationFinding['server'],
  count: number,
) {
  const { load } = processes;
  await load.call('newcomers', count);
  return cpuDuring(processes, [server], () => load.call('register', server));
}

async function trace({ servers, load }: Processes): Promise<string[]> {
  await load.call('newcomers', 1);
  await servers.large.call('startTrace', null);
  await load.call('register', 'large');
  return servers.large.call('stopTrace', null);
}
