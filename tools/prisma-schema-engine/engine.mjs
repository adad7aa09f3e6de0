#!/usr/bin/env node
// What Prisma's CLI starts in place of its native schema engine, which it would download: the same command line and
// the same JSON-RPC over stdin and stdout, answered by Prisma's WASM build. Runs on Node 20 and 24, hence no TypeScript.
/* eslint n/hashbang: off -- the CLI starts this file by its path, and no package names it */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createSchemaAdapter } from './adapter.mjs';
import { runDatabaseCommand } from './database-commands.mjs';
import { engineVersion, openEngine, panicMessage } from './wasm.mjs';

/** JSON-RPC error code under which the CLI looks into `data` for the reason. */
const SEE_DATA = 4466;

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

function failure(id, error) {
  const data = {
    is_panic: false,
    message: String(error?.message ?? error),
    meta: error?.meta ?? {},
    backtrace: null,
    error_code: error?.code ?? null,
  };
  return { id, error: { code: SEE_DATA, message: 'See data', data } };
}

/** `diff` alone prints while it runs: its text goes out as a request of ours, its exit code as the answer. */
function splitDiff(result) {
  if (result.stdout !== undefined && result.stdout !== null) {
    send({ id: 0, method: 'print', params: { content: result.stdout } });
  }
  return { exitCode: result.exitCode };
}

async function answer(engine, { id, method, params }) {
  try {
    const result = await (await engine())[method](params ?? {});
    send({ id, result: (method === 'diff' ? splitDiff(result) : result) ?? null });
  } catch (error) {
    // A panic leaves the engine unusable: it must end the process, never look like an answer to the CLI.
    if (panicMessage()) throw new Error(panicMessage(), { cause: error });
    send(failure(id, error));
  }
}

function readSchema(paths) {
  return paths
    .split(',')
    .filter(Boolean)
    .map((path) => [path, readFileSync(path, 'utf8')]);
}

/** Answers requests, one per line, until stdin ends. */
async function serve(url, schema) {
  const adapter = createSchemaAdapter(url);
  let opened;
  const engine = () => (opened ??= openEngine(adapter, schema));
  for await (const line of createInterface({ input: process.stdin })) {
    const message = line.trim() === '' ? {} : JSON.parse(line);
    if (message.method) await answer(engine, message);
  }
  await adapter.close();
  return 0;
}

async function main() {
  const { values, positionals } = parseArgs({
    strict: false,
    allowPositionals: true,
    options: {
      version: { type: 'boolean' },
      datasource: { type: 'string' },
      datamodels: { type: 'string' },
    },
  });
  if (values.version) {
    process.stdout.write(`schema-engine-wasm ${await engineVersion()}\n`);
    return 0;
  }
  const { url } = JSON.parse(values.datasource ?? '{}');
  const command = positionals.indexOf('cli');
  if (command >= 0) return runDatabaseCommand(positionals[command + 1], url);
  return serve(url, readSchema(values.datamodels ?? ''));
}

process.exitCode = await main();
