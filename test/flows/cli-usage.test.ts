import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { runCommandLine } from '../../src/cli/program.ts';
import { systemClock } from '../../src/clock.ts';
import { commandLine } from '../support/command-line.ts';
import { recordingStream } from '../support/recording-logger.ts';

const commands = [
  ['serve'],
  ['migrate'],
  ...[
    'list',
    'show',
    'create',
    'update',
    'delete',
    'suspend',
    'resume',
    'rotate-secret',
    'allow',
    'assess',
  ].map((name) => ['clients', name]),
  ...['list', 'show', 'create', 'update', 'delete'].map((name) => ['resource-servers', name]),
  ...['list', 'show', 'add', 'set-password', 'suspend', 'resume', 'end-sessions'].map((name) => [
    'customers',
    name,
  ]),
  ...[
    'list',
    'status',
    'generate',
    'announce',
    'import',
    'promote',
    'rotate',
    'retire',
    'revoke',
    'rewrap',
  ].map((name) => ['keys', name]),
  ...['create', 'list', 'show', 'rotate', 'revoke', 'usage'].map((name) => ['api-keys', name]),
  ['secrets', 'status'],
  ['audit', 'list'],
  ['configuration', 'check'],
  ['configuration', 'table'],
  ['doctor'],
];

async function run(words: readonly string[]) {
  const [output, errors] = [recordingStream(), recordingStream()];
  const exitCode = await runCommandLine(words, {
    environment: {},
    input: new PassThrough() as unknown as NodeJS.ReadStream,
    output: output.stream,
    errors: errors.stream,
    clock: systemClock,
  });
  return { exitCode, output: output.text(), errors: errors.text() };
}

describe('The command line', () => {
  it('has these commands, each with help, an example and --json', async () => {
    for (const words of commands) {
      const { exitCode, output, errors } = await run([...words, '--help']);
      expect([words, exitCode, errors]).toEqual([words, 0, '']);
      expect(output).toContain(`Usage: countersign ${words.join(' ')}`);
      expect(output).toContain('--json');
      expect(output).toContain(`Example:\n  countersign ${words.join(' ')}`);
    }
    const groups = new Set(commands.map(([group]) => group));
    const { output } = await run(['--help']);
    for (const group of groups) expect(output).toMatch(new RegExp(`^  ${String(group)} `, 'm'));
  });

  it.each([
    [[]],
    [['nonsense']],
    [['clients']],
    [['clients', 'nonsense']],
    [['clients', 'list', '--nonsense']],
    [['clients', 'list', 'too', 'many']],
    [['clients', 'show']],
    [['clients', 'update', 'x']],
    [['clients', 'allow', 'x']],
    [['clients', 'create', '--no-grant-types', '--grant-type', 'client_credentials']],
    [['audit', 'list', '--limit', '0']],
    [['audit', 'list', '--since', 'yesterday']],
    [['audit', 'list', '--type', 'nonsense']],
    [['keys', 'generate', '--stage', 'nonsense']],
  ])('ends with 2 when it is called wrongly: %j', async (words) => {
    const { exitCode, output, errors } = await run(words);
    expect([exitCode, output]).toEqual([2, '']);
    expect(errors).toMatch(/\S/);
  });

  it('says its version', async () => {
    const version = await run(['--version']);
    expect(version).toEqual({ exitCode: 0, output: `${packageJson.version}\n`, errors: '' });
  });

  it('ends the process with the same code', async () => {
    const cli = await commandLine();
    expect(await cli.run(['clients', 'nonsense'])).toMatchObject({
      exitCode: 2,
      output: '',
      errors: "Unknown command 'nonsense'\n(--help shows what there is)\n",
    });
    await cli.remove();
  });
});
