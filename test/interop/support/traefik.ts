import { startConfigured } from './configured-peer.ts';
import { fetched } from './fetched.ts';

/** Starts Traefik in the foreground; `configuration`, the dynamic one, gets the path of the folder with `files`. */
export function startTraefik(options: {
  configuration: (folder: string) => string;
  files: Readonly<Record<string, string>>;
  /** Ports by the names of the entry points. */
  entryPoints: Readonly<Record<string, number>>;
}): Promise<{ stop(): Promise<void> }> {
  const entryPoints = Object.entries(options.entryPoints).map(
    ([name, port]) => [name, { address: `127.0.0.1:${String(port)}` }] as const,
  );
  return startConfigured({
    command: fetched('traefik'),
    args: (folder) => [`--configFile=${folder}/traefik.json`],
    configuration: (folder) => ({
      'dynamic.yaml': options.configuration(folder),
      'traefik.json': JSON.stringify({
        entryPoints: Object.fromEntries(entryPoints),
        providers: { file: { filename: `${folder}/dynamic.yaml`, watch: false } },
        global: { checkNewVersion: false, sendAnonymousUsage: false },
        log: { level: 'WARN' },
      }),
    }),
    ...{ files: options.files, ports: Object.values(options.entryPoints) },
  });
}
