import { startConfigured } from './configured-peer.ts';

/** What one test's NGINX does. */
export interface NginxOptions {
  /** The content of `http { … }`; it may name files by the path of its folder. */
  http: (path: string) => string;
  /** Modules as files of /usr/lib/nginx/modules. */
  modules?: readonly string[];
  /** Files in its folder by their names. */
  files: Record<string, string>;
  /** The ports that it listens on. */
  ports: readonly number[];
}

/** A running NGINX. */
export interface Nginx {
  stop(): Promise<void>;
}

/** Starts Debian's NGINX; one worker is enough, and the folder has all that it writes. */
export function startNginx({ http, modules = [], files, ports }: NginxOptions): Promise<Nginx> {
  return startConfigured({
    command: 'nginx',
    args: (folder) => ['-p', folder, '-c', `${folder}/nginx.conf`, '-e', 'stderr'],
    configuration: (folder) => ({ 'nginx.conf': wrapped(folder, modules, http(folder)) }),
    ...{ files, ports },
  });
}

const temporaryPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

function wrapped(directory: string, modules: readonly string[], http: string): string {
  const loads = modules.map((name) => `load_module /usr/lib/nginx/modules/${name}.so;`);
  const paths = temporaryPaths.map((name) => `${name}_temp_path ${directory}/${name};`);
  return `${loads.join('\n')}
daemon off;
${process.getuid?.() === 0 ? 'user www-data;' : ''}
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
  access_log off;
  ${paths.join('\n  ')}
${http}
}
`;
}
