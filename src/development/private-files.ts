import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Files of one folder that only their owner may read. */
export interface PrivateFiles {
  /** The file's text; undefined when there is none. */
  read(name: string): string | undefined;
  /** Writes the file unless there is one, and gives back what it holds then: of several processes one wins. */
  writeOnce(name: string, text: string): string;
  /** Writes the file anew. */
  replace(name: string, text: string): void;
  pathOf(name: string): string;
}

/** Files with mode 0600 in `directory`, which is created when it is missing. */
export function createPrivateFiles(directory: string): PrivateFiles {
  const pathOf = (name: string) => path.resolve(directory, name);

  function read(name: string): string | undefined {
    try {
      return readFileSync(pathOf(name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  function writeBeside(name: string, text: string): string {
    mkdirSync(path.dirname(pathOf(name)), { recursive: true });
    const beside = `${pathOf(name)}.${String(process.pid)}.new`;
    writeFileSync(beside, text, { mode: 0o600 });
    chmodSync(beside, 0o600); // the umask may have taken more than wanted
    return beside;
  }

  return {
    read,
    pathOf,

    writeOnce(name, text) {
      const beside = writeBeside(name, text);
      try {
        linkSync(beside, pathOf(name)); // unlike a rename it fails when the file exists
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      } finally {
        rmSync(beside, { force: true });
      }
      return readFileSync(pathOf(name), 'utf8');
    },

    replace(name, text) {
      const beside = writeBeside(name, text);
      rmSync(pathOf(name), { force: true });
      linkSync(beside, pathOf(name));
      rmSync(beside, { force: true });
    },
  };
}
