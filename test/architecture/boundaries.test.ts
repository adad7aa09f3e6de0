import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forbiddenImports } from './forbidden-imports.ts';
import type { Plant } from './forbidden-imports.ts';
import { root, sourceFiles } from './repository-files.ts';

interface Violation {
  from: string;
  to: string;
  rule: { name: string };
  cycle?: { name: string }[];
}

interface Cruise {
  modules: { source: string }[];
  summary: { violations: Violation[] };
}

const configuration = path.join(root, '.dependency-cruiser.cjs');
const require = createRequire(import.meta.url);
const { forbidden } = require(configuration) as { forbidden: { name: string }[] };
const ruleNames = forbidden.map(({ name }) => name);

/** Runs dependency-cruiser over `src` of `folder` with the house's rules, as `npm run check` does. */
async function cruise(folder: string): Promise<Cruise> {
  const bin = path.join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const args = [bin, 'src', '--config', configuration, '--output-type', 'json'];
  const options = { cwd: folder, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  return JSON.parse(stdout) as Cruise;
}

async function write(folder: string, { file, text }: Plant): Promise<void> {
  const target = path.join(folder, file);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, text);
}

const folders = [
  ...['provider', 'clients', 'customers', 'consents', 'api-keys', 'signing-keys', 'edge', 'admin'],
  ...[
    'http',
    'tls',
    'database',
    'database/generated',
    'audit',
    'observability',
    'security',
    'rate-limits',
  ],
  ...['config', 'development', 'cli', 'startup', 'assembly', 'resource-servers', 'security-events'],
].map((folder) => `src/${folder}`);
const packages = ['oidc-provider', '@prisma/client', 'pg', 'zod', 'vitest'].map(
  (name) => `node_modules/${name}`,
);
const undeclared = 'node_modules/package-that-nobody-declared';

/** `rule: file` of a violation; a cycle is told once and blames each of its files. */
function blame({ rule, from, cycle = [] }: Violation): string[] {
  return [from, ...cycle.map(({ name }) => name)].map((file) => `${rule.name}: ${file}`);
}

/** A tree laid out like ours in which nothing is forbidden. */
async function plantInnocentTree(folder: string): Promise<void> {
  const text = 'export const thing = 1;\nexport type Thing = number;\n';
  const things = [...folders, 'test', 'examples', 'bench', 'tools'].map((at) => `${at}/thing.ts`);
  const files = [
    ...things,
    'src/problem.ts',
    'src/clock.ts',
    'src/bounds.ts',
    'src/app.ts',
    'src/main.ts',
  ];
  for (const file of files) await write(folder, { file, text });
  for (const at of [...packages, undeclared]) {
    await write(folder, { file: `${at}/index.js`, text: 'export const thing = 1;\n' });
    await write(folder, { file: `${at}/index.d.ts`, text });
    const manifest = { version: '1.0.0', type: 'module', exports: './index.js' };
    await write(folder, { file: `${at}/package.json`, text: JSON.stringify(manifest) });
  }
  for (const file of ['package.json', 'tsconfig.json']) {
    await cp(path.join(root, file), path.join(folder, file));
  }
}

/** All plants at once; where several rules plant in the same file, their imports stand together. */
async function plantForbiddenImports(folder: string): Promise<void> {
  const texts = new Map<string, string>();
  for (const { file, text } of Object.values(forbiddenImports).flat()) {
    const number = String(texts.get(file)?.length ?? 0);
    const renamed = text
      .replace(/\b(thing|Thing) \}/u, `$1 as thing${number} }`)
      .replace(/= (thing|Thing);/u, `= thing${number};`)
      .replace(/\b(used|Used)\b/u, `$1${number}`);
    texts.set(file, (texts.get(file) ?? '') + renamed);
  }
  for (const [file, text] of texts) await write(folder, { file, text });
}

describe('the modules of src', () => {
  it('import nothing that they may not', async () => {
    const { modules, summary } = await cruise(root);
    const seen = new Set(modules.map(({ source }) => source));
    const written = await sourceFiles();

    expect(written.filter((file) => !seen.has(file))).toEqual([]);
    expect(written.length).toBeGreaterThan(40);
    expect(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual(
      [],
    );
  });
});

describe('the import rules', () => {
  let folder: string;
  let found: Set<string>;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'boundaries-'));
    await plantInnocentTree(folder);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('leave an innocent tree alone', async () => {
    const innocent = await mkdtemp(path.join(tmpdir(), 'boundaries-'));
    try {
      await plantInnocentTree(innocent);
      const { modules, summary } = await cruise(innocent);
      expect(modules.length).toBeGreaterThan(folders.length);
      expect(summary.violations).toEqual([]);
    } finally {
      await rm(innocent, { recursive: true, force: true });
    }
  });

  describe('with every forbidden import planted', () => {
    beforeAll(async () => {
      await plantForbiddenImports(folder);
      const { summary } = await cruise(folder);
      found = new Set(summary.violations.flatMap(blame));
    });

    it.each(ruleNames)('report %s', (name) => {
      const plants = forbiddenImports[name] ?? [];
      expect(plants.length, `${name} has no canary`).toBeGreaterThan(0);
      const unseen = plants.filter(({ file }) => !found.has(`${name}: ${file}`));
      expect(unseen).toEqual([]);
    });

    it('have a rule for every canary', () => {
      expect(Object.keys(forbiddenImports).filter((name) => !ruleNames.includes(name))).toEqual([]);
    });
  });
});
