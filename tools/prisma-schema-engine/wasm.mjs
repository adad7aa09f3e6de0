import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, dirname } from 'node:path';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';

/**
 * Loads Prisma's official WASM build of its schema engine. The package expects a bundler to link the module, so the
 * linking that a bundler would do happens here; plain Node has no stable flag for it in 20 and 24 alike.
 */
async function link() {
  const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
  const module = await readFile(join(folder, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(module, { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

// The engine hands its panic message to this global before it traps; without it the message is lost.
globalThis.PRISMA_WASM_PANIC_REGISTRY = {
  message: '',
  set_message(message) {
    this.message = message;
  },
};

/** What the engine said when it panicked, or an empty string. */
export function panicMessage() {
  return globalThis.PRISMA_WASM_PANIC_REGISTRY.message;
}

/** Version of the engine: the commit of prisma-engines that it was built from. */
export async function engineVersion() {
  await link();
  return bindings.version();
}

/**
 * Connects the engine.
 * @param {import('@prisma/driver-adapter-utils').SqlMigrationAwareDriverAdapterFactory} adapter
 * @param {[path: string, content: string][]} schema files of the Prisma schema, if the command knows them
 * @returns {Promise<Record<string, (params: unknown) => Promise<unknown>>>} one method per JSON-RPC method
 */
export async function openEngine(adapter, schema) {
  await link();
  const options = { datamodels: schema.length > 0 ? schema : undefined };
  const ignoreLog = () => undefined;
  return bindings.SchemaEngine.new(
    options,
    ignoreLog,
    bindMigrationAwareSqlAdapterFactory(adapter),
  );
}
