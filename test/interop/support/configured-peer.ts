import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startPeer } from './peer.ts';

/** A server with a folder of its own. */
export interface ConfiguredPeer {
  command: string;
  /** Gets the path of the folder. */
  args: (folder: string) => readonly string[];
  /** The content of its configuration's files by their names; may name files by the path of the folder. */
  configuration: (folder: string) => Readonly<Record<string, string>>;
  /** What the configuration names, by names. */
  files: Readonly<Record<string, string>>;
  ports: readonly number[];
}

/** Starts it in the foreground; its folder goes with it. */
export async function startConfigured({
  command,
  args,
  configuration,
  files,
  ports,
}: ConfiguredPeer): Promise<{ stop(): Promise<void> }> {
  const directory = await temporaryDirectory();
  const all = { ...files, ...configuration(directory.path) };
  for (const [name, content] of Object.entries(all)) {
    await writeFile(path.join(directory.path, name), content, { mode: 0o600 });
  }
  const peer = await startPeer({ command, args: args(directory.path), ports });
  return {
    async stop() {
      await peer.stop();
      await directory.remove();
    },
  };
}
