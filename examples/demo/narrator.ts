/** The story was not as told; the message says what was seen instead. */
export class NotAsTold extends Error {}

/** Throws {@link NotAsTold} with `otherwise` unless `condition` holds. */
export function expectTold(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new NotAsTold(otherwise);
}

/** Tells what is seen within a step: a line, or a value under a name. */
export type See = (name: string, value?: string) => void;

/** Tells a story in numbered steps. */
export interface Narrator {
  /** Runs `action` as the next step and ticks it off, or crosses it out and passes its error on. */
  step<T>(title: string, action: (see: See) => Promise<T>): Promise<T>;
  /** How many steps were ticked off. */
  told(): number;
}

const nameWidth = 20;

/** A narrator for a terminal. `color` only where somebody sees it. */
export function createNarrator(write: (text: string) => void, color: boolean): Narrator {
  const paint = (code: number, text: string) =>
    color ? `\u001B[${String(code)}m${text}\u001B[0m` : text;
  const line = (text: string) => {
    write(`${text}\n`);
  };
  const see: See = (name, value) => {
    line(value === undefined ? `   ${name}` : `   ${paint(dim, name.padEnd(nameWidth))}${value}`);
  };
  let started = 0;
  let ticked = 0;

  return {
    async step(title, action) {
      started += 1;
      line(`\n${paint(bold, `${String(started)}. ${title}`)}`);
      const begin = performance.now();
      try {
        const result = await action(see);
        line(paint(green, `   ✓ ${String(Math.round(performance.now() - begin))} ms`));
        ticked += 1;
        return result;
      } catch (error) {
        line(paint(red, `   ✗ ${error instanceof Error ? error.message : String(error)}`));
        throw error;
      }
    },
    told: () => ticked,
  };
}

/** SGR codes of ECMA-48. */
const bold = 1;
const dim = 2;
const red = 31;
const green = 32;
