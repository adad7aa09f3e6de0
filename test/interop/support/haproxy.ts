import { startConfigured } from './configured-peer.ts';

/** Starts Debian's HAProxy in the foreground; `configuration` gets the path of the folder with `files`. */
export function startHaproxy(options: {
  configuration: (folder: string) => string;
  files: Readonly<Record<string, string>>;
  ports: readonly number[];
}): Promise<{ stop(): Promise<void> }> {
  return startConfigured({
    command: 'haproxy',
    args: (folder) => ['-db', '-f', `${folder}/haproxy.cfg`],
    configuration: (folder) => ({ 'haproxy.cfg': options.configuration(folder) }),
    ...{ files: options.files, ports: options.ports },
  });
}
