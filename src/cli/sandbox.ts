import { Option } from 'commander';
import type { Command } from 'commander';
import { createPrivateFiles } from '../development/private-files.ts';
import {
  createSandboxDirectory,
  sandboxIssuer,
  sandboxProfiles,
  sandboxRoles,
} from '../development/sandbox-directory.ts';
import type { SandboxProfile, SandboxRole } from '../development/sandbox-directory.ts';
import {
  createSoftware,
  findSoftware,
  listSoftware,
  renewStatement,
  sandboxNamePattern,
} from '../development/sandbox-software.ts';
import { Refusal, gatherMaterial } from '../startup/material.ts';
import { addCommand, addGroup, print } from './command.ts';
import { configurationOf } from './context.ts';
import { UsageError } from './failure.ts';
import { softwareAnswer, softwareTable, statementAnswer } from './sandbox-answers.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** `sandbox`: third parties for trying things out, in development only. */
export function addSandboxCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'sandbox', 'make third parties to try things with (development)');
  addNew(group, shell);
  addStatement(group, shell);
  addList(group, shell);
}

interface NewOptions extends Options {
  roles: SandboxRole[];
  profile: SandboxProfile;
  redirectUri: string[];
}

/** Where examples/tpp-app listens. */
const exampleRedirectUri = 'https://localhost:3452/callback';

function addNew(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'tpp <name>',
    summary:
      'make a third party: certificates, keys, and a software statement of the test directory',
    example: 'sandbox tpp acme --roles AISP,PISP',
  })
    .option('--roles <roles>', 'AISP, PISP or CBPII, separated by commas', rolesIn, ['AISP'])
    .addOption(
      new Option('--profile <profile>', 'what its client will be held to')
        .choices(sandboxProfiles)
        .default('fapi2'),
    )
    .option('--redirect-uri <uri...>', 'where customers come back to', [exampleRedirectUri])
    .action(async (name: string, options: NewOptions) => {
      const configuration = developmentOf(shell);
      if (!sandboxNamePattern.test(name)) {
        throw new UsageError('A name has up to 40 small letters, digits and hyphens.');
      }
      const { development } = await gatherMaterial(configuration, shell.clock);
      if (development === undefined) throw new Error('development has no material');
      const { files, material } = development;
      const { roles, profile, redirectUri: redirectUris } = options;
      const software = await createSoftware(
        { name, roles, profile, redirectUris, issuer: configuration.issuer },
        { files, authority: material.authority, clock: shell.clock },
      );
      if (software === undefined) {
        const remedy = `\`sandbox statement ${name}\` issues a fresh statement for it`;
        throw new UsageError(`There is something called ${name} already; ${remedy}.`);
      }
      print(
        shell,
        options,
        softwareAnswer(software, { files, mtlsOrigin: configuration.mtlsOrigin }),
      );
    });
}

function addStatement(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'statement <name>',
    summary: 'issue a fresh software statement, and write the request that registers with it',
    example: 'sandbox statement acme',
  }).action(async (name: string, options: Options) => {
    const files = createPrivateFiles(developmentOf(shell).keysDirectory);
    const software = findSoftware(files, name);
    if (software === undefined) throw new UsageError(`There is no ${name}; see \`sandbox list\`.`);
    await createSandboxDirectory(files);
    const statement = await renewStatement(software, { files, clock: shell.clock });
    print(shell, options, statementAnswer(statement, sandboxIssuer(software.profile)));
  });
}

function addList(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list the third parties of the sandbox',
    example: 'sandbox list',
  }).action((options: Options) => {
    const files = createPrivateFiles(developmentOf(shell).keysDirectory);
    const software = listSoftware(files);
    print(shell, options, { json: { software }, text: softwareTable(software) });
  });
}

/** Throws a {@link Refusal} in production: what the sandbox makes is trusted by nobody there. */
function developmentOf(shell: Shell) {
  const configuration = configurationOf(shell);
  if (configuration.environment === 'development') return configuration;
  throw new Refusal([
    "COUNTERSIGN_ENV is production, which has no sandbox: run this with COUNTERSIGN_ENV=development on a developer's machine; production's clients come from its directories",
  ]);
}

function rolesIn(text: string): SandboxRole[] {
  return text.split(',').map((word) => {
    const role = (Object.keys(sandboxRoles) as SandboxRole[]).find((known) => known === word);
    if (role !== undefined) return role;
    throw new UsageError(`${word} is no role: there are ${Object.keys(sandboxRoles).join(', ')}.`);
  });
}
