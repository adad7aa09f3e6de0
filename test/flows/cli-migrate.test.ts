import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandLineOn } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

const folder = path.resolve(import.meta.dirname, '../../prisma/migrations');
const entries = await readdir(folder, { withFileTypes: true });
const all = entries
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

let database: TestDatabase;
let cli: CommandLine;

beforeEach(async () => {
  database = await testDatabase('template0');
  cli = await commandLineOn(database);
});
afterEach(async () => {
  await cli.remove();
  await database.close();
});

describe('countersign migrate', () => {
  it('says what is pending, applies it once, and records it', async () => {
    expect((await cli.run(['migrate', '--status', '--json'])).json()).toEqual({ pending: all });
    const before = await cli.run(['clients', 'list']);
    expect(before).toMatchObject({ exitCode: 1, output: '' });
    expect(before.errors).toContain('npm run countersign -- migrate');

    const applied = await cli.run(['migrate', '--json']);
    expect(applied).toMatchObject({ exitCode: 0, errors: '' });
    expect(applied.json()).toEqual({ applied: all });
    expect((await cli.run(['migrate', '--json'])).json()).toEqual({ applied: [] });
    expect((await cli.run(['migrate', '--status'])).output).toBe('The schema is up to date.\n');
    const trail = await cli.run(['audit', 'list', '--type', 'migration.applied', '--json']);
    const events = trail.json()['events'] as { detail: unknown; actorType: string }[];
    expect(events.map(({ detail }) => detail)).toEqual(
      all.toReversed().map((migration) => ({ migration })),
    );
    expect(new Set(events.map(({ actorType }) => actorType))).toEqual(new Set(['operator']));
  });
});
