import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/browser.ts';
import { paste } from '../support/curl.ts';
import { emptyPlace, startScript, untilReady } from '../support/demo-process.ts';
import type { EmptyPlace } from '../support/demo-process.ts';
import { freePort } from '../support/free-port.ts';
import { runSampleApplication } from '../support/tpp-app.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const timeoutMs = 180_000;
const start = 'npm ci && npm start';
const countersign = 'npm run countersign -- ';
const application = 'npm run example:tpp-app -- ';

/** The commands of the guide, in its order. */
async function commandsOf(file: string): Promise<string[]> {
  const text = await readFile(path.join(repository, file), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(?<code>.*?)^```$/gms)];
  return blocks.flatMap(({ groups }) =>
    (groups?.['code'] ?? '')
      .replaceAll('\\\n', ' ')
      .split('\n')
      .filter((line) => line !== ''),
  );
}

let place: EmptyPlace;
let server: ReturnType<typeof startScript>;
let browser: Browser;
let redirectUri: string;

beforeAll(async () => {
  place = await emptyPlace();
  server = startScript('src/main.ts', place);
  browser = await launchBrowser();
  redirectUri = `https://localhost:${String(await freePort())}/callback`;
  await untilReady(place);
}, timeoutMs);

afterAll(async () => {
  await browser.close();
  await server.stop();
  await place.directory.remove();
});

/** As in a terminal beside the server, apart from the redirect URI, whose port may be taken, and the folder of keys. */
async function runCommand(command: string): Promise<string> {
  if (command === start) return '';
  if (command.startsWith(countersign)) {
    const words = command.slice(countersign.length);
    const more = words.startsWith('sandbox tpp') ? ` --redirect-uri ${redirectUri}` : '';
    const script = `'${process.execPath}' '${repository}src/cli/index.ts' ${words}${more}`;
    return paste(script, place.directory, { cwd: repository, environment: place.environment });
  }
  if (!command.startsWith(application)) throw new Error(`the test can not run ${command}`);
  const words = [...command.slice(application.length).split(' '), '--keys', place.keysDirectory];
  if (words.includes('--clean')) {
    return (await startScript('examples/tpp-app/run.ts', place, words).end()).output;
  }
  const told = await runSampleApplication(words, 'alex', { place, browser });
  expect([told.exitCode, told.errors, told.heading]).toEqual([0, '', 'Welcome back']);
  return told.output;
}

describe("Every command of the third parties' guide", () => {
  it('works in the order of the page', { timeout: timeoutMs }, async () => {
    const told: Record<string, string> = {};
    for (const command of await commandsOf('docs/tpp-guide.md')) {
      told[command] = await runCommand(command);
    }
    expect(Object.keys(told).length).toBeGreaterThan(8);
    expect(Object.keys(told)[0]).toBe(start);
    expect(told[`${application}--name acme`]).toContain('The API answers 200');
    expect(told[`${application}--name acme --auth key`]).toContain('private_key_jwt');
    expect(told[`${application}--name acme --clean`]).toContain('Unregistered');
    expect(told[`${countersign}sandbox list`]).toMatch(/acme[\s\S]*signer/);
  });

  it('and of the sample application is among them', async () => {
    const guide = await commandsOf('docs/tpp-guide.md');
    for (const command of await commandsOf('examples/tpp-app/README.md')) {
      expect(guide).toContain(command);
    }
  });
});
