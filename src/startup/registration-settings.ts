import { readFileSync } from 'node:fs';
import type { Directory } from '../clients/registration/directory.ts';
import { parseKeySet } from '../clients/registration/key-set.ts';
import type { RegistrationSettings } from '../clients/registration/registration-parts.ts';
import { readDirectories } from '../config/directories.ts';
import type { Configuration } from '../config/schema.ts';
import { isSandboxIssuer } from '../development/sandbox-directory.ts';
import { Problem } from '../problem.ts';
import { Refusal, isDevelopmentKid } from './material.ts';

/**
 * How clients may register; `besides` are the directories where no setting names others. {@link Refusal} with every
 * problem of these settings and the directories' file.
 */
export function registrationSettings(
  configuration: Configuration,
  besides: readonly Directory[] = [],
): RegistrationSettings {
  const { registrationResource: resource, registrationScope: scope } = configuration;
  const { directories, problems } = directoriesOf(configuration, besides);
  if ((resource === undefined) !== (scope === undefined)) {
    problems.push(
      'COUNTERSIGN_REGISTRATION_SCOPE and COUNTERSIGN_REGISTRATION_RESOURCE belong together: set both or neither',
    );
  }
  if (problems.length > 0) throw new Refusal(problems);
  const management =
    resource === undefined || scope === undefined ? undefined : { resource, scope };
  const { initialAccessTokens } = configuration;
  return { directories, initialAccessTokens, management };
}

function directoriesOf(
  { directoriesFile, environment }: Configuration,
  besides: readonly Directory[],
): { directories: readonly Directory[]; problems: string[] } {
  try {
    const directories = directoriesFile === undefined ? besides : readDirectories(directoriesFile);
    const sandboxes = environment === 'production' ? directories.flatMap(sandboxProblems) : [];
    return { directories, problems: [...directories.flatMap(keyFileProblems), ...sandboxes] };
  } catch (error) {
    return { directories: [], problems: [problemOf(error)] };
  }
}

/** Keys at a URL are asked for when the first client comes; those in a file must be there. */
function keyFileProblems({ keys }: Directory): string[] {
  if ('url' in keys) return [];
  try {
    parseKeySet(readFileSync(keys.file, 'utf8'), keys.file);
    return [];
  } catch (error) {
    return [problemOf(error)];
  }
}

/** What development made vouches for nobody: its key lies in a folder of some developer. */
function sandboxProblems({ issuer, keys, localRedirectUris }: Directory): string[] {
  const problems: string[] = [];
  if (isSandboxIssuer(issuer)) {
    problems.push(`${issuer} is a directory that development created: remove it`);
  }
  if (localRedirectUris) {
    problems.push(`localRedirectUris of ${issuer} is for the sandbox only: remove it`);
  }
  if ('file' in keys && hasDevelopmentKey(keys.file)) {
    problems.push(`${keys.file} has a key that development created: use the directory's own keys`);
  }
  return problems.map((problem) => `COUNTERSIGN_DIRECTORIES: ${problem}`);
}

/** A file that can't be read is told of anyway. */
function hasDevelopmentKey(file: string): boolean {
  try {
    const { keys } = parseKeySet(readFileSync(file, 'utf8'), file);
    return keys.some(({ kid }) => kid !== undefined && isDevelopmentKid(kid));
  } catch {
    return false;
  }
}

function problemOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return `COUNTERSIGN_DIRECTORIES: ${error instanceof Problem ? (error.detail ?? text) : text}`;
}
