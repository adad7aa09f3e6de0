import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { Problem } from '../problem.ts';
import { checkedKey, readKey } from '../signing-keys/key-material.ts';
import type { KeyMaterial } from '../signing-keys/key-material.ts';
import { isPublished, signerOf, signingAlgorithms } from '../signing-keys/key-ring.ts';
import type { RingKey, SigningAlgorithm } from '../signing-keys/key-ring.ts';
import { readPkcs12 } from '../signing-keys/pkcs12.ts';
import type { PromoteOptions, Rotation } from '../signing-keys/rotation.ts';
import { developmentKeys } from '../startup/material.ts';
import { addCommand, addGroup, print } from './command.ts';
import type { CommandWords } from './command.ts';
import { configurationOf, withKeyRing } from './context.ts';
import { UsageError } from './failure.ts';
import { readBytes, readInput } from './input.ts';
import { asJson, changed, keyTable, statusAnswer } from './key-answers.ts';
import type { Plan } from './key-answers.ts';
import { askSecret } from './password-input.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

interface AlgorithmOptions extends Options {
  algorithm: SigningAlgorithm;
}

interface ImportOptions extends AlgorithmOptions {
  passphraseFile?: string;
  pkcs12?: true;
}

/** `keys`: the ring of keys that sign tokens. */
export function addKeyCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'keys', 'manage the keys that sign tokens');
  addReports(group, shell);
  addNewKeys(group, shell);
  addImport(group, shell);
  addAdoption(group, shell);
  addPromotions(group, shell);
  addEnds(group, shell);
  addRewrap(group, shell);
}

function addReports(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list all signing keys, also those that are gone',
    example: 'keys list',
  }).action(async (options: Options) => {
    const { keys } = await withKeyRing(shell, (rotation) => rotation.status());
    print(shell, options, {
      json: { keys: keys.map(asJson) },
      text: keyTable(keys, planOf(shell)),
    });
  });
  addCommand(group, {
    usage: 'status',
    summary: 'show what signs, what comes next, and who publishes and has fetched it',
    example: 'keys status',
  }).action(async (options: Options) => {
    const status = await withKeyRing(shell, (rotation) => rotation.status());
    print(shell, options, statusAnswer(status, planOf(shell)));
  });
}

function planOf(shell: Shell): Plan {
  const { keyRotationSeconds, keyAnnounceSeconds } = configurationOf(shell);
  const schedule = { rotateSeconds: keyRotationSeconds, announceSeconds: keyAnnounceSeconds };
  return { schedule, now: shell.clock.now() };
}

const algorithmOption = () =>
  new Option('--algorithm <algorithm>', 'what it signs with')
    .choices(signingAlgorithms)
    .default('RS256');

const forceOption = () =>
  new Option('--force', 'also when known resource servers have not fetched the key yet');

function addNewKeys(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'generate',
    summary: 'make a signing key; it signs at once where none of its algorithm does',
    example: 'keys generate --algorithm ES256',
  })
    .addOption(algorithmOption())
    .action(async ({ algorithm, ...options }: AlgorithmOptions) => {
      const key = await withKeyRing(shell, (rotation) =>
        beginning(rotation, rotation.announce(algorithm)),
      );
      print(shell, options, changed([key], 'made'));
    });
  addCommand(group, {
    usage: 'announce',
    summary: 'publish the next key, so that verifiers can fetch it before it signs',
    example: 'keys announce --algorithm PS256',
  })
    .addOption(algorithmOption())
    .action(async ({ algorithm, ...options }: AlgorithmOptions) => {
      const key = await withKeyRing(shell, (rotation) => rotation.announce(algorithm));
      print(shell, options, changed([key], 'made'));
    });
}

/** Lets an announced key sign where no other one of its algorithm does. */
async function beginning(rotation: Rotation, announced: Promise<RingKey>): Promise<RingKey> {
  const key = await announced;
  const { keys } = await rotation.status();
  return signerOf(keys, key.algorithm) === undefined ? rotation.promote(key.kid) : key;
}

function addImport(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'import <file>',
    summary: 'take over a private key: PEM, JWK or PKCS #12 (- for standard input)',
    example: 'keys import signing.pem --algorithm PS256',
  })
    .addOption(algorithmOption())
    .option('--passphrase-file <file>', 'what an encrypted PEM or a PKCS #12 file opens with')
    .option('--pkcs12', 'the file is PKCS #12; asks for its password where none is given')
    .action(
      async (file: string, { algorithm, passphraseFile, pkcs12, ...options }: ImportOptions) => {
        const given = { algorithm, passphrase: await passphraseIn(shell, passphraseFile) };
        const brought =
          pkcs12 === true
            ? await readPkcs12Key(shell, file, given)
            : await readKey(await readInput(shell, file), given);
        rejectDevelopmentKey(shell, brought);
        const key = await withKeyRing(shell, (rotation) =>
          beginning(rotation, rotation.announce(algorithm, brought)),
        );
        print(shell, options, changed([key], 'imported'));
      },
    );
}

interface AdoptOptions extends AlgorithmOptions {
  label?: string;
  id?: string;
}

function addAdoption(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'adopt',
    summary:
      'take over a key that was made in the HSM by other means, named by --label, --id or both',
    example: 'keys adopt --label ceremony-2026 --algorithm PS256',
  })
    .addOption(algorithmOption())
    .option('--label <label>', 'its CKA_LABEL')
    .option('--id <hex>', 'its CKA_ID, in hexadecimal', hexadecimal)
    .action(async ({ algorithm, label, id, ...options }: AdoptOptions) => {
      if (label === undefined && id === undefined) {
        throw new UsageError('Give --label, --id or both.');
      }
      const wanted = { algorithm, label, id };
      const key = await withKeyRing(shell, (rotation) =>
        beginning(rotation, rotation.adopt(wanted)),
      );
      print(shell, options, changed([key], 'adopted'));
    });
}

function hexadecimal(text: string): string {
  if (/^(?:[\da-f]{2})+$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('It has an even number of hexadecimal digits.');
}

async function passphraseIn(shell: Shell, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  return (await readInput(shell, file)).replace(/\r?\n$/, '');
}

async function readPkcs12Key(
  shell: Shell,
  file: string,
  { algorithm, passphrase }: { algorithm: SigningAlgorithm; passphrase: string | undefined },
): Promise<KeyMaterial> {
  const bytes = await readBytes(shell, file);
  const asked = { question: `Password of ${file}: `, instead: '--passphrase-file' };
  const password = passphrase ?? (await askSecret(shell, asked));
  return checkedKey(await readPkcs12(bytes, password), { algorithm });
}

function rejectDevelopmentKey(shell: Shell, key: { kid: string }): void {
  const [detail] = developmentKeys([key]);
  if (detail === undefined || configurationOf(shell).environment !== 'production') return;
  throw new Problem('signing_key_invalid', { detail });
}

function addPromotions(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'promote <kid>',
    summary: 'let an announced key sign; the one that signed before retires',
    example: 'keys promote 3vC1…',
  })
    .addOption(forceOption())
    .addHelpText('after', dashHint)
    .action(async (kid: string, { force = false, ...options }: Options & PromoteOptions) => {
      const key = await withKeyRing(shell, (rotation) => rotation.promote(kid, { force }));
      print(shell, options, changed([key], 'changed'));
    });
  addCommand(group, {
    usage: 'rotate',
    summary: 'let the announced key sign, or a new one where none is announced',
    example: 'keys rotate --algorithm RS256',
  })
    .addOption(algorithmOption())
    .addOption(forceOption())
    .action(async ({ algorithm, force = false, ...options }: AlgorithmOptions & PromoteOptions) => {
      const key = await withKeyRing(shell, (rotation) => rotation.rotate(algorithm, { force }));
      print(shell, options, changed([key], 'changed'));
    });
}

function addEnds(group: Command, shell: Shell): void {
  const addEnd = (words: CommandWords, end: (ring: Rotation, kid: string) => Promise<RingKey[]>) =>
    addCommand(group, words)
      .addHelpText('after', dashHint)
      .action(async (kid: string, options: Options) => {
        const keys = await withKeyRing(shell, (rotation) => end(rotation, kid));
        print(shell, options, changed(keys, 'changed'));
      });
  addEnd(
    {
      usage: 'retire <kid>',
      summary: 'stop signing with a key; what it signed still verifies',
      example: 'keys retire 3vC1…',
    },
    async (rotation, kid) => [await rotation.retire(kid)],
  );
  addEnd(
    {
      usage: 'revoke <kid>',
      summary: 'end a compromised key and all that it signed, at once; another one signs instead',
      example: 'keys revoke 3vC1…',
    },
    async (rotation, kid) => {
      const { revoked, successor } = await rotation.revoke(kid);
      return successor === undefined ? [revoked] : [revoked, successor];
    },
  );
}

function addRewrap(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'rewrap',
    summary:
      'wrap the stored keys by the first of COUNTERSIGN_MASTER_KEYS; run it again if interrupted',
    example: 'keys rewrap',
  }).action(async (options: Options) => {
    const { kids, left } = await withKeyRing(shell, async (rotation) => {
      const wrapped = await rotation.rewrap();
      const { keys } = await rotation.status();
      return { kids: wrapped, left: keys.filter(isPublished).length };
    });
    const text = `${String(kids.length)} of ${String(left)} keys were wrapped anew; all of them are under the first master key.`;
    print(shell, options, { json: { rewrapped: kids }, text });
  });
}

/** One thumbprint in 64 does. */
const dashHint = '\nA kid that begins with a dash is given after --.';
