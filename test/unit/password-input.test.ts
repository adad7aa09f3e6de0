import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readNewPassword } from '../../src/cli/password-input.ts';
import { recordingStream } from '../support/recording-logger.ts';

/** A terminal on which these lines are typed. */
function terminal(...lines: string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input });
  input.end(lines.map((line) => `${line}\r`).join(''));
  const { stream, text } = recordingStream();
  return { shell: { input: input as unknown as NodeJS.ReadStream, errors: stream }, text };
}

describe('A new password', () => {
  it('is asked for twice and never shown', async () => {
    const { shell, text } = terminal('a secret phrase', 'a secret phrase');
    expect(await readNewPassword({}, shell)).toEqual({
      password: 'a secret phrase',
      isGenerated: false,
    });
    expect(text()).toBe('New password: \nThe same again: \n');
  });

  it('must be typed alike', async () => {
    const { shell } = terminal('a secret phrase', 'another');
    await expect(readNewPassword({}, shell)).rejects.toThrow('not the same');
  });

  it('must be typed', async () => {
    await expect(readNewPassword({}, terminal().shell)).rejects.toThrow('No password was given');
    await expect(readNewPassword({}, terminal('', '').shell)).rejects.toThrow('is empty');
  });

  it('is read from a pipe as it is, but for the line end', async () => {
    const input = new PassThrough();
    input.end(' spaces and "quotes" \r\n');
    const shell = {
      input: input as unknown as NodeJS.ReadStream,
      errors: recordingStream().stream,
    };
    expect(await readNewPassword({ passwordStdin: true }, shell)).toEqual({
      password: ' spaces and "quotes" ',
      isGenerated: false,
    });
  });

  it('is made of 128 random bits', async () => {
    const { shell } = terminal();
    const [first, second] = [
      await readNewPassword({ generate: true }, shell),
      await readNewPassword({ generate: true }, shell),
    ];
    expect(first).toEqual({
      password: expect.stringMatching(/^[\w-]{22}$/) as unknown,
      isGenerated: true,
    });
    expect(first.password).not.toBe(second.password);
  });
});
