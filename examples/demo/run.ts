import { loadConfiguration } from '../../src/config/load.ts';
import { createNarrator, NotAsTold } from './narrator.ts';
import { tellStory } from './story.ts';

// eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same settings
const environment = process.env;
const write = (text: string) => process.stdout.write(text);
const narrator = createNarrator(write, process.stdout.isTTY && !environment['NO_COLOR']);

/** Gives back the signal that interrupted the story, if one did. */
async function main(): Promise<NodeJS.Signals | undefined> {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new NotAsTold(loaded.problems.join('\n'));
  const { configuration } = loaded;
  await using cleanup = new AsyncDisposableStack();
  return await Promise.race([
    tellStory(narrator, { configuration, environment, cleanup }).then(() => undefined),
    interrupted(),
  ]);
}

function interrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
}

/** The error and its causes, a line each: the first one alone is often "fetch failed". */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error instanceof NotAsTold ? error.message : `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text}\n  because ${explain(error.cause)}`;
}

try {
  const signal = await main();
  if (signal === undefined) {
    write(`\nAll ${String(narrator.told())} steps went as told.\n`);
  } else {
    // The step that was under way may still hold something open: end as if nobody had listened.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
} catch (error) {
  process.stderr.write(
    `\nThe story is not as told after ${String(narrator.told())} steps: ${explain(error)}\n`,
  );
  process.exitCode = 1;
}
