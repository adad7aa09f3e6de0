import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withCurl } from '../support/curl.ts';
import { emptyPlace, startScript, untilReady } from '../support/demo-process.ts';
import type { EmptyPlace } from '../support/demo-process.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const timeoutMs = 120_000;

let place: EmptyPlace;
let server: ReturnType<typeof startScript>;
let terminal: ReturnType<typeof openTerminal>;

beforeAll(async () => {
  place = await emptyPlace();
  server = startScript('src/main.ts', place);
  terminal = openTerminal(place);
  await untilReady(place);
}, timeoutMs);

afterAll(async () => {
  terminal.close();
  await server.stop();
  await place.directory.remove();
});

/** A shell that stays: what one block sets, the next has. */
function openTerminal({ directory, environment }: EmptyPlace) {
  const child = spawn('sh', ['-s'], {
    ...{ cwd: directory.path, env: withCurl(directory, environment) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const output = child.stdout.setEncoding('utf8');
  return {
    /** What a block writes. */
    async run(block: string): Promise<string> {
      const end = randomUUID();
      child.stdin.write(`${block}\necho ${end}\n`);
      let text = '';
      while (!text.includes(end)) {
        text += await new Promise<string>((resolve) => output.once('data', resolve));
      }
      return text.slice(0, text.indexOf(end));
    },
    close() {
      child.stdin.end();
    },
  };
}

/** The blocks of the page by the heading above them, as they are on this server's ports. */
async function blocksOf(page: string): Promise<Record<string, string[]>> {
  const { environment } = place;
  const text = (await readFile(path.join(repository, page), 'utf8'))
    .replaceAll('localhost:3443', `localhost:${environment['COUNTERSIGN_PORT'] ?? ''}`)
    .replaceAll('localhost:3444', `localhost:${environment['COUNTERSIGN_MTLS_PORT'] ?? ''}`)
    .replaceAll(
      'npm run --silent countersign -- ',
      `'${process.execPath}' '${repository}src/cli/index.ts' `,
    );
  const sections = text.split(/^#+ /m).slice(1);
  return Object.fromEntries(
    sections.map((section) => [
      section.slice(0, section.indexOf('\n')),
      [...section.matchAll(/^```sh\n(?<code>.*?)^```$/gms)].map((match) => match[1] ?? ''),
    ]),
  );
}

/** Starts the server again as a line says. */
async function restart(line: string): Promise<void> {
  const settings = [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]);
  await server.stop();
  const more = Object.fromEntries(settings) as Record<string, string>;
  const policy = path.join(place.directory.path, more['COUNTERSIGN_EDGE_POLICY_FILE'] ?? '');
  const environment = { ...place.environment, ...more, COUNTERSIGN_EDGE_POLICY_FILE: policy };
  server = startScript('src/main.ts', { ...place, environment });
  await untilReady(place);
}

describe('The tour', () => {
  it('goes as it is written', { timeout: timeoutMs }, async () => {
    const told: Record<string, string> = {};
    for (const [heading, blocks] of Object.entries(await blocksOf('docs/tour.md'))) {
      told[heading] = '';
      for (const block of blocks) {
        if (block.includes('npm start')) await restart(block);
        else told[heading] += await terminal.run(block);
      }
    }
    expect(told['Events']).toContain('sample-tpp');

    const consent = told['A consent'] ?? '';
    expect(consent).toContain('"awaiting-authorisation"');
    const tokens = consent.match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g) ?? [];
    const events = tokens.flatMap((token) => Object.keys(decodeJwt(token)['events'] as object));
    expect(events).toEqual(
      ['create', 'withdraw'].map((move) => `urn:countersign:event:consent:${move}`),
    );
    expect(consent).toContain('rejected');

    expect(told['An API key']).toMatch(/"active":true.*"nightly export".*"accounts"/);

    const answers = (told['The edge'] ?? '').match(/^HTTP\/1.1 \d+/gm);
    expect(answers).toEqual([200, 200, 401, 403].map((status) => `HTTP/1.1 ${String(status)}`));
    expect(told['The edge']).toMatch(/x-client-id: sample-tpp/i);
  });
});
