import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startPeer } from './peer.ts';

/** Starts Debian's HAProxy in the foreground; `configuration` gets the path of the folder with `files`. */
export async function startHaproxy(options: {
  configuration: (path: string) => string;
  files: Readonly<Record<string, string>>;
  ports: readonly number[];
}): Promise<{ stop(): Promise<void> }> {
  const directory = await temporaryDirectory();
  const file = path.join(directory.path, 'haproxy.cfg');
  const all = { ...options.files, 'haproxy.cfg': options.configuration(directory.path) };
  for (const [name, content] of Object.entries(all)) {
    await writeFile(path.join(directory.path, name), content, { mode: 0o600 });
  }
  const peer = await startPeer({
    command: 'haproxy',
    args: ['-db', '-f', file],
    ports: options.ports,
  });
  return {
    async stop() {
      await peer.stop();
      await directory.remove();
    },
  };
}
