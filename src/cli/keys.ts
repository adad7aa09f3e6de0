import { Option } from 'commander';
import type { Command } from 'commander';
import type { KeyFiles } from '../signing-keys/key-files.ts';
import {
  activationMoves,
  keyStages,
  retirementMove,
  signingAlgorithms,
  stageOfNewKey,
} from '../signing-keys/key-ring.ts';
import type { KeyMove, KeyStage, SigningAlgorithm, SigningKey } from '../signing-keys/key-ring.ts';
import { keyFilesOf } from '../startup/material.ts';
import { addCommand, addGroup, print } from './command.ts';
import { configurationOf, withAudit } from './context.ts';
import type { Context } from './context.ts';
import { readInput } from './input.ts';
import { table } from './output.ts';
import type { Answer } from './output.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

interface NewKeyOptions extends Options {
  algorithm: SigningAlgorithm;
  stage?: KeyStage;
}

/** `keys`: what signs tokens, as files in the keys directory. */
export function addKeyCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'keys', 'manage the keys that sign tokens');
  addList(group, shell);
  addGenerate(group, shell);
  addImport(group, shell);
  addMoves(group, shell);
}

function addList(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list all signing keys',
    example: 'keys list',
  }).action(async (options: Options) => {
    const keys = await keyFilesOf(configurationOf(shell), shell.clock).list();
    const rows = keys.map(({ kid, algorithm, stage, createdAt }) => [
      kid,
      algorithm,
      stage,
      createdAt.toISOString(),
    ]);
    const text = table(['KID', 'ALGORITHM', 'STAGE', 'CREATED'], rows);
    print(shell, options, { json: { keys: keys.map(asJson) }, text });
  });
}

function addNewKeyOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--algorithm <algorithm>', 'what it signs with')
        .choices(signingAlgorithms)
        .default('RS256'),
    )
    .addOption(
      new Option(
        '--stage <stage>',
        'active where no key of the algorithm signs yet, else announced',
      ).choices(keyStages),
    );
}

function addGenerate(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'generate',
    summary: 'make a signing key; activate it when verifiers have had time to fetch it',
    example: 'keys generate --algorithm ES256',
  });
  addNewKeyOptions(command).action(async ({ algorithm, ...options }: NewKeyOptions) => {
    const key = await withKeys(shell, async (files, context) => {
      const stage = options.stage ?? stageOfNewKey(await files.list(), algorithm);
      const made = await files.generate(algorithm, stage);
      await recordNew(made, context);
      return made;
    });
    print(shell, options, changed([key], 'made'));
  });
}

function addImport(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'import <file>',
    summary: 'take over a PKCS #8 private key, PEM (- for standard input)',
    example: 'keys import signing.pem --algorithm PS256',
  });
  addNewKeyOptions(command).action(
    async (file: string, { algorithm, ...options }: NewKeyOptions) => {
      const pem = await readInput(shell, file);
      const key = await withKeys(shell, async (files, context) => {
        const stage = options.stage ?? stageOfNewKey(await files.list(), algorithm);
        const made = await files.importPem(pem, algorithm, stage);
        await recordNew(made, context);
        return made;
      });
      print(shell, options, changed([key], 'imported'));
    },
  );
}

function addMoves(group: Command, shell: Shell): void {
  const addMove = (
    words: { usage: string; summary: string; example: string },
    movesOf: (keys: readonly SigningKey[], kid: string) => readonly KeyMove[],
  ) => {
    const command = addCommand(group, words).addHelpText('after', dashHint);
    command.action(async (kid: string, options: Options) => {
      const keys = await withKeys(shell, async (files, context) =>
        applyMoves(movesOf(await files.list(), kid), files, context),
      );
      print(shell, options, changed(keys, 'changed'));
    });
  };
  addMove(
    {
      usage: 'activate <kid>',
      summary: 'let a key sign; the one of its algorithm that signed before retires',
      example: 'keys activate 3vC1…',
    },
    activationMoves,
  );
  addMove(
    {
      usage: 'retire <kid>',
      summary: 'stop signing with a key; what it signed still verifies',
      example: 'keys retire 3vC1…',
    },
    (keys, kid) => [retirementMove(keys, kid)],
  );
}

async function applyMoves(
  moves: readonly KeyMove[],
  files: KeyFiles,
  { record }: Context,
): Promise<SigningKey[]> {
  const moved: SigningKey[] = [];
  for (const { kid, stage } of moves) {
    const key = await files.move(kid, stage);
    const type = stage === 'active' ? 'signing_key.activated' : 'signing_key.retired';
    await record({ type, detail: { kid, algorithm: key.algorithm } });
    moved.push(key);
  }
  return moved;
}

async function recordNew(
  { kid, algorithm, stage }: SigningKey,
  { record }: Context,
): Promise<void> {
  await record({ type: 'signing_key.created', detail: { kid, algorithm, stage } });
}

/** The database is opened before a key is touched: what can't be recorded is not begun. */
function withKeys<T>(
  shell: Shell,
  work: (files: KeyFiles, context: Context) => Promise<T>,
): Promise<T> {
  return withAudit(shell, (context) =>
    work(keyFilesOf(context.configuration, context.clock), context),
  );
}

/** One thumbprint in 64 does. */
const dashHint = '\nA kid that begins with a dash is given after --.';

const restartHint = 'A running server knows it after a restart.';

function changed(keys: readonly SigningKey[], done: string): Answer {
  const lines = keys.map(({ kid, algorithm, stage }) => `${kid} (${algorithm}) is ${stage}`);
  const text = [`The signing key is ${done}:`, ...lines, restartHint].join('\n');
  return { json: { keys: keys.map(asJson), restartNeeded: true }, text };
}

function asJson({ kid, algorithm, stage, createdAt }: SigningKey) {
  return { kid, algorithm, stage, createdAt: createdAt.toISOString() };
}
