/** TypeError unless what was configured could be meant. */
export function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new TypeError(`countersign/resource-server: ${message}`);
}

/** Whether a member may have this value. */
type Check = (value: unknown) => boolean;

/** Every member of `T` that there is. */
export type Shape<T> = Readonly<Record<keyof T, Check>>;

/**
 * Checks what may come from JavaScript: a member that is misspelt would protect nothing, and so would a word that is none. A member
 * without a value is left out. TypeError.
 */
export function expectShape<T extends object>(value: T, shape: Shape<Required<T>>, at = ''): void {
  expect(isRecord(value), `${at}: no object`);
  const checks = new Map<string, Check>(Object.entries(shape));
  for (const [name, member] of Object.entries(value)) {
    const check = checks.get(name);
    expect(check !== undefined, `${at}${name}: there is no such option`);
    expect(member === undefined || check(member), `${at}${name}: not as it has to be`);
  }
}

export const isText: Check = (value) => typeof value === 'string' && value !== '';
export const isFlag: Check = (value) => typeof value === 'boolean';
export const isFunction: Check = (value) => typeof value === 'function';
export const isRecord: Check = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);

/** A number from `least` to `most`. */
export function isNumber(least: number, most: number): Check {
  return (value) => typeof value === 'number' && value >= least && value <= most;
}

/** One of these words. */
export function isOneOf(...words: readonly string[]): Check {
  return (value) => words.some((word) => word === value);
}
