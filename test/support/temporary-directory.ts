import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of a test's own. */
export interface TemporaryDirectory {
  path: string;
  /** Removes another folder with it. */
  alsoRemove(path: string): void;
  remove(): Promise<void>;
}

/**
 * Creates an empty folder. Other users may pass through it, as through an ordinary checkout: as root, Postgres runs as
 * somebody else.
 */
export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'countersign-test-'));
  await chmod(path, 0o711);
  const paths = [path];
  return {
    path,
    alsoRemove: (other) => paths.push(other),
    async remove() {
      for (const each of paths) await rm(each, { recursive: true, force: true });
    },
  };
}
