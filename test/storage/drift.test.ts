import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = createRequire(import.meta.url).resolve('prisma/build/index.js');
const schemaFile = join(root, 'prisma', 'schema.prisma');

/** What Prisma answers when it compares the migrations with a schema: 0 for the same, 2 for a difference. */
async function compare(schema: string): Promise<{ code: unknown; output: string }> {
  const database = await testDatabase('template0'); // on its server Prisma makes the one to replay them in
  const diff = ['migrate', 'diff', '--exit-code', '--from-migrations', 'prisma/migrations'];
  const settings = { cwd: root, env: { ...process.env, DATABASE_URL: database.connectionString } };
  const result = await new Promise<{ code: unknown; output: string }>((resolve) => {
    execFile(
      process.execPath,
      [cli, ...diff, '--to-schema', schema],
      settings,
      (error, out, err) => {
        resolve({ code: error === null ? 0 : error.code, output: out + err });
      },
    );
  });
  await database.close();
  return result;
}

it('the migrations make the schema that Prisma is told', async () => {
  expect(await compare(schemaFile)).toMatchObject({
    code: 0,
    output: expect.stringContaining('No difference detected') as string,
  });
});

it('a field without a migration would be noticed', async () => {
  const temporary = await temporaryDirectory();
  const changed = join(temporary.path, 'schema.prisma');
  const schema = await readFile(schemaFile, 'utf8');
  await writeFile(
    changed,
    schema.replace('@@map("customers")', 'forgotten String?\n@@map("customers")'),
  );
  expect(await compare(changed)).toMatchObject({
    code: 2,
    output: expect.stringContaining('Added column `forgotten`') as string,
  });
  await temporary.remove();
});
