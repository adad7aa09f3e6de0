import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Configuration } from '../../src/config/schema.ts';
import { expectTold, NotAsTold } from './narrator.ts';
import type { See } from './narrator.ts';

/** How to find the server, or to start it. */
export interface ServerPlace {
  configuration: Configuration;
  environment: NodeJS.ProcessEnv;
  /** Stops at the end what was started here. */
  cleanup: AsyncDisposableStack;
}

const main = path.resolve(import.meta.dirname, '../../src/main.ts');
/** The first start makes a database: seconds on a laptop, longer on a busy machine. */
const startTimeoutMs = 90_000;
const stopTimeoutMs = 20_000;
const probeEveryMs = 100;

/** Finds the running server by its operations port, or starts one that ends with the story. */
export async function findOrStartServer(see: See, place: ServerPlace): Promise<void> {
  const { configuration, environment, cleanup } = place;
  expectTold(configuration.environment === 'development', 'the story needs development mode');
  const found = await probe(configuration);
  if (found === 'absent') {
    see('nothing runs yet: starting one for the time of the story');
    const child = startChild(environment);
    cleanup.defer(() => stopChild(child));
    await untilReady(configuration, child);
  } else {
    see('one is running already: using it');
    if (found === 'starting') await untilReady(configuration);
  }
  see('issuer', configuration.issuer);
  see('for certificates', configuration.mtlsOrigin);
}

interface Child {
  process: ChildProcess;
  /** The end of what it wrote to stderr. */
  complaint: string;
}

function startChild(environment: NodeJS.ProcessEnv): Child {
  const started = spawn(process.execPath, [main], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const child: Child = { process: started, complaint: '' };
  started.stderr.setEncoding('utf8').on('data', (text: string) => {
    child.complaint = (child.complaint + text).slice(-2000);
  });
  return child;
}

async function stopChild({ process: child }: Child): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  await ended;
  clearTimeout(late);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function untilReady(configuration: Configuration, child?: Child): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  while ((await probe(configuration)) !== 'ready') {
    if (child !== undefined && hasEnded(child.process)) {
      throw new NotAsTold(`the server did not start:\n${child.complaint.trim()}`);
    }
    const isLate = performance.now() > deadline;
    expectTold(!isLate, `the server is not ready after ${String(startTimeoutMs / 1000)} s`);
    await wait(probeEveryMs);
  }
}

async function probe(configuration: Configuration): Promise<'ready' | 'starting' | 'absent'> {
  const { operationsAddress: address, operationsPort } = configuration;
  const host = address.includes(':') ? `[${address}]` : address;
  try {
    const { status } = await fetch(`http://${host}:${String(operationsPort)}/readyz`);
    return status === 200 ? 'ready' : 'starting';
  } catch {
    return 'absent';
  }
}
