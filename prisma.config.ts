import { fileURLToPath } from 'node:url';
import { defineConfig } from 'prisma/config';

// Without a schema engine every command of the CLI, even `generate`, tries to download one. The stand-in runs Prisma's
// own WASM build instead; who has the native engine may name it in the same variable. Not for Windows, which can't
// start a script by its path: there `generate` and `validate` work, `migrate` needs the native engine.
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ??= fileURLToPath(
  new URL('./tools/prisma-schema-engine/engine.mjs', import.meta.url),
);
// The CLI would otherwise ask the network for newer versions.
process.env['CHECKPOINT_DISABLE'] ??= '1';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: {
    url: process.env['DATABASE_URL'] ?? 'postgresql://countersign@127.0.0.1:5432/countersign',
  },
});
