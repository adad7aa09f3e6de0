import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { StartOrder, StartReport } from './server-child.ts';
import { accountsApi, createFetches } from './server.ts';
import type { AuthorizationServer } from './server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** How a process ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server of the installation that `base` began, in a process of its own. */
export interface ServerProcess {
  child: ChildProcess;
  /** The installation as it is reached through this process; `running` and `log` are still those of `base`. */
  server: AuthorizationServer;
  /** Everything that the process has logged or printed. */
  output(): string;
  /** Ends it with no chance to clean up. */
  kill(): Promise<Ending>;
  /** Asks it to stop, and waits for it. */
  stop(): Promise<Ending>;
}

/** What a process may do differently from `base`. */
export interface ProcessOptions {
  environment?: Record<string, string>;
  /** An open file as its standard output, where the log goes. */
  stdout?: number;
}

/**
 * Where processes come from; for each one that was started another waits with its imports done, so
 * that a start takes a tenth of a second.
 */
export interface ServerProcesses {
  start(options?: ProcessOptions): Promise<ServerProcess>;
  /** Ends whatever is still running. */
  close(): Promise<void>;
}

interface Waiting {
  child: ChildProcess;
  ready: Promise<unknown>;
  ended: Promise<Ending>;
  output: () => string;
}

const script = fileURLToPath(new URL('server-child.ts', import.meta.url));

/** Processes beside `base`, on its database and with its keys. */
export async function serverProcesses(
  base: AuthorizationServer,
  environment: Record<string, string> = {},
): Promise<ServerProcesses> {
  const cache = await temporaryDirectory();
  const children = new Set<ChildProcess>();
  const standby: Waiting[] = [];

  function launch(stdout?: number): Waiting {
    const waiting = spawnWaiting(cache.path, stdout);
    children.add(waiting.child);
    void waiting.ended.then(() => children.delete(waiting.child));
    return waiting;
  }

  return {
    async start(options = {}) {
      const ready = options.stdout === undefined ? standby.shift() : undefined;
      const waiting = ready ?? launch(options.stdout);
      await waiting.ready;
      const order: StartOrder = {
        environment: { ...environmentBeside(base), ...environment, ...options.environment },
        material: base.material,
      };
      const started = start(waiting, order, base);
      if (options.stdout === undefined) standby.push(launch());
      return started;
    },
    async close() {
      const gone = [...children].map((child) => once(child, 'exit'));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(gone);
      await cache.remove();
    },
  };
}

function spawnWaiting(compileCache: string, stdout: number | 'pipe' = 'pipe'): Waiting {
  const child = fork(script, {
    execArgv: ['--max-semi-space-size=8'],
    // Compiled once for all: a process is then ready in half the time.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', NODE_COMPILE_CACHE: compileCache },
    serialization: 'advanced',
    stdio: ['ignore', stdout, 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  const ready = nextReport(child, ended);
  ready.catch(() => undefined); // one that nobody came to need
  return { child, ready, ended, output: () => output };
}

async function nextReport(child: ChildProcess, ended: Promise<Ending>): Promise<StartReport> {
  const message = once(child, 'message').then(([report]) => report as StartReport);
  const first = await Promise.race([message, ended]);
  if ('event' in first) return first;
  throw new Error(`the process ended before it served: ${JSON.stringify(first)}`);
}

async function start(
  { child, ended, output }: Waiting,
  order: StartOrder,
  base: AuthorizationServer,
): Promise<ServerProcess> {
  child.send(order);
  const report = await nextReport(child, ended);
  if (report.event !== 'serving') throw new Error(`${JSON.stringify(report)}\n${output()}`);
  const { ports } = report;
  const fetches = createFetches(base, base.certificates, { ports });
  const end = async (signal: NodeJS.Signals): Promise<Ending> => {
    child.kill(signal);
    const ending = await ended;
    await fetches.close();
    return ending;
  };
  return {
    child,
    server: {
      ...base,
      operationsOrigin: `http://127.0.0.1:${String(ports.operations)}`,
      fetch: (certificate) => fetches.fetch(certificate),
      running: { ...base.running, ports },
      async stop() {
        await end('SIGTERM');
      },
    },
    output,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

function environmentBeside({ issuer, mtlsOrigin, database }: AuthorizationServer) {
  return {
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin,
    COUNTERSIGN_PORT: '0',
    COUNTERSIGN_MTLS_PORT: '0',
    COUNTERSIGN_OPERATIONS_PORT: '0',
    COUNTERSIGN_ARGON2_MEMORY: '7168', // the least allowed: these tests are not about the cost
    COUNTERSIGN_ARGON2_PASSES: '1',
    COUNTERSIGN_DEFAULT_RESOURCE: accountsApi,
    COUNTERSIGN_LOG_LEVEL: 'warn',
    DATABASE_URL: database.connectionString,
  };
}
