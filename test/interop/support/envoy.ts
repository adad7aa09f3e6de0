import { startConfigured } from './configured-peer.ts';
import { fetched } from './fetched.ts';

/** Starts Envoy in the foreground; `configuration` gets the path of the folder with `files`. */
export function startEnvoy(options: {
  configuration: (folder: string) => string;
  files: Readonly<Record<string, string>>;
  ports: readonly number[];
}): Promise<{ stop(): Promise<void> }> {
  return startConfigured({
    command: fetched('envoy'),
    // Several of them run at once, so none may look for another one to take over from.
    args: (folder) => [
      ...['-c', `${folder}/envoy.yaml`, '--disable-hot-restart'],
      ...['--concurrency', '1', '--log-level', 'warning'],
    ],
    configuration: (folder) => ({ 'envoy.yaml': options.configuration(folder) }),
    ...{ files: options.files, ports: options.ports },
  });
}
