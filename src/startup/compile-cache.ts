// eslint-disable-next-line n/no-unsupported-features/node-builtins -- Node 24 has had it from the first, under another label
import { enableCompileCache } from 'node:module';
import path from 'node:path';

/**
 * Keeps what Node makes of our sources for the next start, of which reading and compiling them is the larger part. Comes
 * before everything else is imported. Whoever may write to the folder runs code of theirs at the next start: so it is one that
 * only who may replace our packages can make, and neither Node's default nor the `.cache` that other tools share. Where this
 * process may not make it, it starts as ever. `NODE_COMPILE_CACHE` and `NODE_DISABLE_COMPILE_CACHE` take precedence.
 */
export function keepCompiledCode(): void {
  enableCompileCache(path.join(import.meta.dirname, '../../node_modules/.countersign'));
}
