import type { Command } from 'commander';
import { storedDataProblems } from '../config/invariants.ts';
import type { Configuration } from '../config/schema.ts';
import { isDevelopmentSecret } from '../development/material.ts';
import { Refusal } from '../startup/material.ts';
import { secretAges } from '../startup/secret-ages.ts';
import type { AgedSecrets, SecretAge } from '../startup/secret-ages.ts';
import { addCommand, addGroup, print } from './command.ts';
import { configurationOf, withDatabase } from './context.ts';
import { table } from './output.ts';
import type { Answer } from './output.ts';
import type { Shell } from './shell.ts';

/** `secrets`: how old those of the settings are. */
export function addSecretCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'secrets', 'show how old the secrets of the settings are');
  addCommand(group, {
    usage: 'status',
    summary: 'show since when each secret is in use, and which are due to be replaced',
    example: 'secrets status',
  }).action(async (options: { json?: true }) => {
    const secrets = configuredSecrets(configurationOf(shell));
    const ages = await withDatabase(shell, ({ context, prisma }) =>
      secretAges(secrets, prisma, context.clock),
    );
    print(shell, options, answerOf(ages));
  });
}

function configuredSecrets(configuration: Configuration): AgedSecrets {
  const problems = storedDataProblems(configuration, isDevelopmentSecret);
  if (problems.length > 0) throw new Refusal(problems);
  return {
    COUNTERSIGN_COOKIE_KEYS: configuration.cookieKeys ?? [],
    COUNTERSIGN_MASTER_KEYS: configuration.masterKeys ?? [],
    COUNTERSIGN_ENCRYPTION_KEYS: configuration.encryptionKeys ?? [],
    COUNTERSIGN_DIGEST_KEY: configuration.digestKey ?? [],
    COUNTERSIGN_PAIRWISE_SALT: configuration.pairwiseSalt ?? [],
  };
}

function answerOf(ages: readonly SecretAge[]): Answer {
  const rows = ages.map(({ variable, fingerprint, use, ageDays, dueDays, state }) => [
    variable,
    fingerprint,
    use,
    ageDays === undefined ? '' : `${String(ageDays)} days`,
    dueDays === undefined ? '' : `${String(dueDays)} days`,
    state,
  ]);
  const text = table(['SECRET', 'FINGERPRINT', 'USE', 'AGE', 'DUE AT', 'STATE'], rows);
  const json = {
    secrets: ages.map(({ firstSeenAt, ...age }) => ({
      ...age,
      firstSeenAt: firstSeenAt?.toISOString(),
    })),
  };
  return { json, text };
}
