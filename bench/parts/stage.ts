import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startChild } from './channel.ts';
import type { Child } from './channel.ts';
import { createDatabases } from './databases.ts';
import type { Databases } from './databases.ts';
import { writeWorld } from './world.ts';
import type { World } from './world.ts';

/** Where a run takes place. */
export interface Stage {
  /** Removed at the end, with all that is in it. */
  directory: string;
  databases: Databases;
}

/** A temporary folder and empty databases, at `serverUrl` or an embedded Postgres. */
export async function createStage(
  cleanup: AsyncDisposableStack,
  serverUrl: string | undefined,
): Promise<Stage> {
  const directory = await mkdtemp(path.join(tmpdir(), 'countersign-bench-'));
  await chmod(directory, 0o711); // started by root, Postgres runs as somebody else, who has to get through
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const databases = await createDatabases(directory, serverUrl);
  cleanup.defer(() => databases.close());
  return { directory, databases };
}

/** Starts a script of this folder's parent, by its name without ending, that reads the world. */
export type StartScript = <Calls>(script: string, ...parameters: readonly string[]) => Child<Calls>;

/** What it starts ends with the run; the log files are in `directory`. */
export function scriptsOf(
  cleanup: AsyncDisposableStack,
  directory: string,
  world: World,
): StartScript {
  const worldFile = path.join(directory, 'world.json');
  writeWorld(worldFile, world);
  return <Calls>(script: string, ...parameters: readonly string[]) => {
    const file = path.resolve(import.meta.dirname, '..', `${script}.ts`);
    const logFile = path.join(directory, `${[script, ...parameters].join('-')}.log`);
    const child = startChild<Calls>(file, [worldFile, ...parameters], logFile);
    cleanup.defer(() => child.stop());
    return child;
  };
}
