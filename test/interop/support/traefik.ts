import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { startConfigured } from './configured-peer.ts';
import { fetched } from './fetched.ts';

/**
 * Starts Traefik in the foreground; `configuration`, the dynamic one, gets the path of the folder with `files`. Each
 * entry point must have an HTTPS router for the host "localhost": it is asked for `/` until it answers.
 */
export async function startTraefik(options: {
  configuration: (folder: string) => string;
  files: Readonly<Record<string, string>>;
  /** Ports by the names of the entry points. */
  entryPoints: Readonly<Record<string, number>>;
  /** As when `insecure` is on: what callers say in X-Forwarded-… is handed on. */
  believesCallers?: boolean;
}): Promise<{ stop(): Promise<void> }> {
  const forwardedHeaders = { insecure: options.believesCallers ?? false };
  const entryPoints = Object.entries(options.entryPoints).map(
    ([name, port]) => [name, { address: `127.0.0.1:${String(port)}`, forwardedHeaders }] as const,
  );
  const ports = Object.values(options.entryPoints);
  const traefik = await startConfigured({
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
    ...{ files: options.files, ports },
  });
  for (const port of ports) while (!(await hasRouters(port))) await wait(20);
  return traefik;
}

/** It takes connections before it has read the dynamic configuration, and answers for itself till then. */
async function hasRouters(port: number): Promise<boolean> {
  const asked = request({
    ...{ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false },
    ...{ agent: false, headers: { host: 'localhost' } },
  });
  asked.end();
  try {
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return (await text(answer)) !== '404 page not found\n';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') throw error;
    return false;
  }
}
