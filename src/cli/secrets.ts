import type { Command } from 'commander';
import { storedDataProblems } from '../config/invariants.ts';
import type { Configuration } from '../config/schema.ts';
import { developmentFiles, isDevelopmentSecret } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
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
    const configuration = configurationOf(shell);
    const secrets = configuredSecrets(configuration);
    const isNone = Object.values(secrets).every((values) => values.length === 0);
    const ages = isNone
      ? []
      : await withDatabase(shell, ({ context, prisma }) =>
          secretAges(secrets, prisma, context.clock),
        );
    print(shell, options, answerOf(ages, createdFileFor(configuration, secrets)));
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

/** Where development keeps those that it made because no setting gives them; undefined where all are given. */
function createdFileFor(configuration: Configuration, secrets: AgedSecrets): string | undefined {
  if (configuration.environment === 'production') return undefined;
  if (Object.values(secrets).every((values) => values.length > 0)) return undefined;
  return createPrivateFiles(configuration.keysDirectory).pathOf(developmentFiles.secrets);
}

function answerOf(ages: readonly SecretAge[], createdFile: string | undefined): Answer {
  const rows = ages.map(({ variable, fingerprint, use, ageDays, dueDays, state }) => [
    variable,
    fingerprint,
    use,
    ageDays === undefined ? '' : `${String(ageDays)} days`,
    dueDays === undefined ? '' : `${String(dueDays)} days`,
    state,
  ]);
  const header = ['SECRET', 'FINGERPRINT', 'USE', 'AGE', 'DUE AT', 'STATE'];
  const created =
    createdFile === undefined
      ? []
      : [
          `Secrets that no setting gives are made by development itself, in ${createdFile}: their age does not count, and none of them has to be replaced.`,
        ];
  const text = [...(ages.length === 0 ? [] : [table(header, rows)]), ...created].join('\n\n');
  const json = {
    createdFile,
    secrets: ages.map(({ firstSeenAt, ...age }) => ({
      ...age,
      firstSeenAt: firstSeenAt?.toISOString(),
    })),
  };
  return { json, text };
}
