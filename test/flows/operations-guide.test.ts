import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseStaticConfiguration } from '../../src/config/static-file.ts';
import { checkStaticConfiguration } from '../../src/startup/static-configuration.ts';
import { textOf } from '../architecture/repository-files.ts';
import { commandLineOn } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { testDatabase } from '../support/database.ts';

const guide = await textOf('docs/operations.md');

/** The commands of a guide that an operator pastes, a line each. */
function commandsOf(text: string): string[] {
  const lines = text.replaceAll(/ \\\n\s*/g, ' ');
  return [...lines.matchAll(/^npm run countersign -- (.+)$/gm)].map(([, line = '']) => line);
}

/** A shell's words, where quotes are double. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|[^\s"]+/g)].map(([word, quoted]) => quoted ?? word);
}

async function newestKey(cli: CommandLine): Promise<string> {
  const made = (await cli.run(['keys', 'generate', '--json'])).json()['keys'] as { kid: string }[];
  return made[0]?.kid ?? '';
}

/** Runs them one after the other on a database of their own. */
async function expectAllToWork(cli: CommandLine, commands: readonly string[]): Promise<void> {
  for (const line of commands) {
    const words = wordsOf(line);
    const kid = line.includes('<kid>') ? await newestKey(cli) : '';
    const result = await cli.run(kid === '' ? words : [...words.slice(0, -1), '--', kid]);
    expect([line, result.exitCode, result.errors]).toEqual([line, 0, '']);
  }
}

describe('Every guide', () => {
  it.each([
    ['docs/operations.md', 'template0', 25],
    ['docs/profiles.md', undefined, 4],
    ['docs/tpp-guide.md', undefined, 3],
    ['docs/resource-server-guide.md', undefined, 3],
    ['docs/security-events.md', undefined, 7],
  ] as const)(
    'tells commands that work in the order in which they are told: %s',
    async (file, template, atLeast) => {
      const commands = commandsOf(await textOf(file));
      expect(commands.length).toBeGreaterThanOrEqual(atLeast);
      const database = await testDatabase(template);
      const cli = await commandLineOn(database);
      await expectAllToWork(cli, commands);
      await cli.remove();
      await database.close();
    },
    90_000,
  );
});

describe('The operations guide', () => {
  it('shows a static file that is valid', async () => {
    const example = /```json\n([\s\S]+?)```/.exec(guide)?.[1] ?? '';
    const cli = await commandLineOn({ connectionString: '' });
    const secret = path.join(cli.environment['HOME'] ?? '', 'secret');
    await writeFile(secret, `${'s'.repeat(43)}\n`);
    const value: unknown = JSON.parse(example.replace('/run/secrets/accounts-api', secret));
    const declared = parseStaticConfiguration(value, 'docs/operations.md');
    const checked = await checkStaticConfiguration(declared, { accessTokenTtlSeconds: 600 });
    expect(checked.drafts.map(({ metadata }) => metadata.client_id)).toEqual([
      'tpp-2',
      'accounts-api',
    ]);
    expect(Object.keys(checked.resourceServers[0]?.scopes ?? {})).toEqual(['accounts', 'payments']);
    await cli.remove();
  });
});
