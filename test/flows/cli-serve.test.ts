import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { once } from 'node:events';
import { Agent, fetch } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { readPidFile } from '../../src/database/embedded-pid-file.ts';
import { findPlace } from '../../src/database/embedded-place.ts';
import { commandLine } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { emptyPlace } from '../support/demo-process.ts';
import { readFile } from 'node:fs/promises';

let remove: (() => Promise<void>) | undefined;
afterEach(() => remove?.());

/** Ports and folders of its own, without a database: the embedded one will be used. */
async function emptyCommandLine(): Promise<CommandLine> {
  const place = await emptyPlace();
  const variables = Object.entries(place.environment).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith('COUNTERSIGN_') && entry[1] !== undefined,
  );
  const cli = await commandLine(Object.fromEntries(variables));
  remove = async () => {
    await cli.remove();
    await place.directory.remove();
  };
  return { ...cli, keysDirectory: place.keysDirectory };
}

/** Whether the embedded server of this command line runs. */
function isDatabaseRunning({ environment }: CommandLine): boolean {
  const directory = path.join(environment['COUNTERSIGN_DATA_DIRECTORY'] ?? '', 'postgres');
  return readPidFile(findPlace(directory).data) !== undefined;
}

describe('The embedded database', () => {
  it('is started by a command that finds none, and stopped after it', async () => {
    const cli = await emptyCommandLine();
    const added = await cli.run(['customers', 'add', 'early', '--generate']);
    expect(added).toMatchObject({ exitCode: 0, errors: '' });
    expect(isDatabaseRunning(cli)).toBe(false);
    const { output } = await cli.run(['audit', 'list']);
    expect(output).toMatch(/customer\.created[\s\S]*migration\.applied/);
  });

  it('of a running server is joined by commands, and left to it', async () => {
    const cli = await emptyCommandLine();
    const { kid } = (
      (await cli.run(['keys', 'generate', '--json'])).json()['keys'] as { kid: string }[]
    )[0] ?? { kid: '' };
    const server = cli.start(['serve', '--json']);
    const ended = once(server, 'close');
    try {
      const [document] = (await once(server.stdout ?? server, 'data')) as [Buffer];
      const { issuer } = JSON.parse(document.toString()) as { issuer: string };
      expect(issuer).toBe(cli.environment['COUNTERSIGN_ISSUER']);
      const listed = await cli.run(['clients', 'list', '--json']);
      expect(listed).toMatchObject({ exitCode: 0, errors: '' });
      expect(listed.output).toContain('sample-tpp');

      expect(isDatabaseRunning(cli)).toBe(true);
      const ca = await readFile(path.join(cli.keysDirectory, 'ca.crt'));
      const dispatcher = new Agent({ connect: { ca } });
      const jwks = await fetch(`${issuer}/jwks`, { dispatcher });
      expect(await jwks.text()).toContain(kid);
      await dispatcher.close();
    } finally {
      server.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
    expect(isDatabaseRunning(cli)).toBe(false);
    expect(await readdir(cli.keysDirectory)).toContain('secrets.json');
  });
});
