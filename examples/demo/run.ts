import { loadConfiguration } from '../../src/config/load.ts';
import { createNarrator, NotAsTold } from './narrator.ts';
import { tellStory } from './story.ts';

/** How a shell names the end by SIGINT. */
const interruptedExit = 130;

// eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same settings
const environment = process.env;
const write = (text: string) => process.stdout.write(text);
const narrator = createNarrator(write, process.stdout.isTTY && !environment['NO_COLOR']);

async function main(): Promise<number> {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new NotAsTold(loaded.problems.join('\n'));
  await using cleanup = new AsyncDisposableStack();
  const { configuration } = loaded;
  const outcome = await Promise.race([
    tellStory(narrator, { configuration, environment, cleanup }).then(() => 'told' as const),
    interrupted(),
  ]);
  if (outcome === 'interrupted') return interruptedExit;
  write(`\nAll ${String(narrator.told())} steps were as told.\n`);
  return 0;
}

function interrupted(): Promise<'interrupted'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve('interrupted');
      });
    }
  });
}

/** The error and its causes, a line each: the first one alone is often "fetch failed". */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error instanceof NotAsTold ? error.message : `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text}\n  because ${explain(error.cause)}`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(
    `\nThe story is not as told after ${String(narrator.told())} steps: ${explain(error)}\n`,
  );
  process.exitCode = 1;
}
