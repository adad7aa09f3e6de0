import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { settings } from './schema.ts';
import type { Configuration } from './schema.ts';
import type { Setting } from './setting.ts';

/** A configuration, or every problem that stands in its way with its remedy. */
export type Loaded =
  | { ok: true; configuration: Configuration }
  | {
      ok: false;
      problems: readonly string[];
      /** What could be read, with defaults for the rest: for finding further problems, never for running. */
      readable: Configuration;
    };

export type Environment = Readonly<Record<string, string | undefined>>;

const byName = Object.entries(settings) as [keyof Configuration, Setting<unknown>][];
const known = new Set(byName.flatMap(([, { variable }]) => [variable, `${variable}_FILE`]));

/**
 * Reads every setting from `environment`; `<variable>_FILE` names a file whose content, without the line end, is the
 * value (External Secrets, Vault Agent, compose secrets). All problems are reported together.
 */
export function loadConfiguration(environment: Environment): Loaded {
  const problems = unknownVariables(environment);
  const values: Record<string, unknown> = {};
  for (const [name, setting] of byName) {
    const result = readSetting(setting, withDerived(withNodeEnvironment(environment)));
    if (result.ok) values[name] = result.value;
    else {
      problems.push(result.problem);
      values[name] = setting.type.parse(setting.fallback);
    }
  }
  const configuration = Object.freeze(values) as Configuration;
  return problems.length > 0
    ? { ok: false, problems, readable: configuration }
    : { ok: true, configuration };
}

type Read = { ok: true; value: unknown } | { ok: false; problem: string };

function readSetting(setting: Setting<unknown>, environment: Environment): Read {
  const source = textOf(setting.variable, environment);
  if (!source.ok) return source;
  const text = source.value ?? setting.fallback;
  const parsed = setting.type.safeParse(text);
  if (parsed.success) return { ok: true, value: parsed.data };
  return {
    ok: false,
    problem: `${setting.variable} ${reasonOf(parsed.error)}: ${setting.sentence}`,
  };
}

function textOf(
  variable: string,
  environment: Environment,
): { ok: true; value: string | undefined } | { ok: false; problem: string } {
  const direct = environment[variable];
  const file = environment[`${variable}_FILE`];
  if (direct !== undefined && file !== undefined) {
    return { ok: false, problem: `${variable} and ${variable}_FILE are both set: keep one` };
  }
  if (file === undefined) return { ok: true, value: direct };
  try {
    return { ok: true, value: readFileSync(file, 'utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, problem: `${variable}_FILE can't be read: ${reason}` };
  }
}

const derived = [
  ['COUNTERSIGN_ISSUER', 'COUNTERSIGN_PORT'],
  ['COUNTERSIGN_MTLS_ORIGIN', 'COUNTERSIGN_MTLS_PORT'],
] as const;

/** Another port alone is enough for a second installation on one machine: its origin then has that port. */
function withDerived(environment: Environment): Environment {
  const origins = derived.flatMap(([origin, port]) => {
    const number = environment[port];
    const isSet = environment[origin] !== undefined || environment[`${origin}_FILE`] !== undefined;
    if (isSet || number === undefined || !/^[1-9]\d*$/.test(number)) return [];
    return [[origin, `https://localhost:${number}`]];
  });
  return { ...environment, ...(Object.fromEntries(origins) as Environment) };
}

/** NODE_ENV=production means production unless our own variable says otherwise: never the laxer by accident. */
function withNodeEnvironment(environment: Environment): Environment {
  if (environment['COUNTERSIGN_ENV'] !== undefined || environment['NODE_ENV'] !== 'production') {
    return environment;
  }
  return { ...environment, COUNTERSIGN_ENV: 'production' };
}

/** A typing error in a variable's name would silently leave a default in force. */
function unknownVariables(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('COUNTERSIGN_') && !known.has(name))
    .map((name) => `${name} is not a setting: see the table in README.md`);
}

function reasonOf(error: z.ZodError): string {
  return error.issues.map((issue) => issue.message).join(', ');
}
