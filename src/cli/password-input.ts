import { Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { randomSecret } from '../security/secrets.ts';
import { UsageError } from './failure.ts';
import { readInput } from './input.ts';
import type { Shell } from './shell.ts';

/** Where a new password comes from; never an argument, which every user of the machine can read. */
export interface PasswordOptions {
  passwordStdin?: true;
  generate?: true;
}

/** A new password, and whether it was made here and must be shown. */
export interface NewPassword {
  password: string;
  isGenerated: boolean;
}

/** Takes a new password from the standard input, a hidden prompt, or makes one (128 bits). */
export async function readNewPassword(
  options: PasswordOptions,
  shell: Pick<Shell, 'input' | 'errors'>,
): Promise<NewPassword> {
  if (options.passwordStdin === true && options.generate === true) {
    throw new UsageError('Give either --password-stdin or --generate.');
  }
  if (options.generate === true) return { password: randomSecret(16), isGenerated: true };
  const password =
    options.passwordStdin === true
      ? (await readInput(shell, '-')).replace(/\r?\n$/, '')
      : await askTwice(shell);
  if (password === '') throw new UsageError('The password is empty.');
  return { password, isGenerated: false };
}

/** A secret that exists already: asked for once, hidden. `instead` says what to give where there is no terminal. */
export async function askSecret(
  shell: Pick<Shell, 'input' | 'errors'>,
  { question, instead }: { question: string; instead: string },
): Promise<string> {
  if (!shell.input.isTTY) throw new UsageError(`There is no terminal to ask on: give ${instead}.`);
  const questions = openQuestions(shell);
  try {
    return await questions.ask(question);
  } finally {
    questions.close();
  }
}

async function askTwice(shell: Pick<Shell, 'input' | 'errors'>): Promise<string> {
  if (!shell.input.isTTY) {
    throw new UsageError(
      'There is no terminal to ask on: give --password-stdin to pipe the password in, or --generate.',
    );
  }
  const questions = openQuestions(shell);
  try {
    const first = await questions.ask('New password: ');
    const second = await questions.ask('The same again: ');
    if (first !== second) throw new UsageError('The two passwords are not the same.');
    return first;
  } finally {
    questions.close();
  }
}

/** Asks on the error output; what is typed is not shown. */
function openQuestions({ input, errors }: Pick<Shell, 'input' | 'errors'>) {
  // readline echoes to its output, and as a terminal switches the echo of the real one off.
  const output = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const prompt = createInterface({ input, output, terminal: true, historySize: 0 });
  prompt.on('SIGINT', () => {
    prompt.close();
  });
  const lines = prompt[Symbol.asyncIterator]();
  return {
    async ask(question: string): Promise<string> {
      errors.write(question);
      const line = await lines.next();
      errors.write('\n');
      if (line.done !== true) return line.value;
      throw new UsageError('No password was given.');
    },
    close() {
      prompt.close();
    },
  };
}
