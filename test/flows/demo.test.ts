import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyPlace, isReady, startScript, untilReady } from '../support/demo-process.ts';
import type { EmptyPlace } from '../support/demo-process.ts';

const steps = [
  'The authorization server is up',
  'The TPP has a certificate',
  'With it the TPP gets a token for itself',
  'The customer logs in and consents, in a real browser',
  'The TPP exchanges the code for tokens, with PKCE',
  "The bank's API serves the TPP over mTLS",
  'The same token with another certificate is refused',
  'The TPP refreshes',
  'The TPP revokes, and everything is refused',
  'A stolen code, used again, ends what it gave',
];

const demo = 'examples/demo/run.ts';
/** Two first starts with a database each, and Chromium, on a machine that runs other tests besides. */
const timeoutMs = 120_000;

/** The titles of the steps with how they ended. */
function told(output: string): string[] {
  const blocks = output.split(/^(?=\d+\. )/m).slice(1);
  return blocks.map(
    (block) => `${block.split('\n', 1)[0] ?? ''} ${/ {3}[✓✗]/u.exec(block)?.[0].trim() ?? '?'}`,
  );
}

const allTold = steps.map((title, index) => `${String(index + 1)}. ${title} ✓`);

describe('npm run demo on a bare machine', () => {
  let place: EmptyPlace;

  beforeAll(async () => {
    place = await emptyPlace();
  });

  afterAll(() => place.directory.remove());

  it('starts a server, tells the story, and stops it', { timeout: timeoutMs }, async () => {
    const { exitCode, output, errors } = await startScript(demo, place).end();
    expect(errors).toBe('');
    expect(told(output)).toEqual(allTold);
    expect(exitCode).toBe(0);
    expect(await isReady(place)).toBe(false);
  });

  it('stops the server when it is interrupted', { timeout: timeoutMs }, async () => {
    const running = startScript(demo, place);
    await running.untilOutput(/^2\. /m);
    expect(await isReady(place)).toBe(true);
    await running.stop();
    expect(running.output()).not.toContain('All 10 steps');
    expect(await isReady(place)).toBe(false);
  });
});

describe('npm run demo beside npm start', () => {
  let place: EmptyPlace;
  let server: ReturnType<typeof startScript>;

  beforeAll(async () => {
    place = await emptyPlace();
    server = startScript('src/main.ts', place);
    await untilReady(place);
  }, timeoutMs);

  afterAll(async () => {
    await server.stop();
    await place.directory.remove();
  });

  it('tells the story there, as often as asked', { timeout: timeoutMs }, async () => {
    for (let run = 1; run <= 2; run += 1) {
      const { exitCode, output, errors } = await startScript(demo, place).end();
      expect(errors).toBe('');
      expect(told(output)).toEqual(allTold);
      expect(exitCode).toBe(0);
    }
    expect(await isReady(place)).toBe(true);
  });

  it('prints no secret and no token', { timeout: timeoutMs }, async () => {
    const { output } = await startScript(demo, place).end();
    const text = await readFile(path.join(place.keysDirectory, 'secrets.json'), 'utf8');
    const secrets = Object.values(JSON.parse(text) as Record<string, string>);
    expect(secrets.length).toBeGreaterThan(3);
    expect(secrets.filter((secret) => output.includes(secret))).toEqual([]);
    expect(output).not.toMatch(/eyJ[\w-]{10}|PRIVATE KEY/u);
    expect(output).not.toContain('\u001B'); // no colours where nobody sees them
  });

  it('fails where the world is not as told', { timeout: timeoutMs }, async () => {
    // Nobody can be refused for another certificate that is the very same one.
    const file = (name: string) => path.join(place.keysDirectory, name);
    for (const kind of ['crt', 'key']) {
      await copyFile(file(`other-tpp.${kind}`), file(`kept.${kind}`));
      await copyFile(file(`tpp.${kind}`), file(`other-tpp.${kind}`));
    }
    const { exitCode, output, errors } = await startScript(demo, place).end();
    for (const kind of ['crt', 'key'])
      await copyFile(file(`kept.${kind}`), file(`other-tpp.${kind}`));

    expect(exitCode).toBe(1);
    expect(told(output)).toEqual([...allTold.slice(0, 6), `7. ${String(steps[6])} ✗`]);
    expect(errors).toContain('after 6 steps: other certificate: 200 instead of 401');
  });

  it("says so when the server is not this folder's", { timeout: timeoutMs }, async () => {
    const elsewhere = await emptyPlace();
    const other = startScript('src/main.ts', elsewhere);
    await untilReady(elsewhere);
    const { COUNTERSIGN_KEYS_DIRECTORY } = elsewhere.environment;
    const mixed = { ...place, environment: { ...place.environment, COUNTERSIGN_KEYS_DIRECTORY } };
    const { exitCode, errors } = await startScript(demo, mixed).end();
    await other.stop();
    await elsewhere.directory.remove();

    expect(exitCode).toBe(1);
    expect(errors).toContain("does not answer with the certificate of this folder's keys");
  });
});
