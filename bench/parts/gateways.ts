import { spawnSync } from 'node:child_process';
import { startNginx } from '../../test/interop/support/nginx.ts';
import { adapted, shippedFile } from '../../test/interop/support/shipped.ts';
import { freePort } from './world.ts';
import type { World } from './world.ts';

/** Ports of two NGINX in front of one API: one that asks the edge about each request, and one that asks nobody. */
export interface Gateways {
  asking: number;
  bare: number;
}

const command = 'nginx';

/** What NGINX says of its version; undefined where there is none. */
export function nginxVersion(): string | undefined {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  return /nginx\/([\d.]+)/.exec(spawnSync(command, ['-v'], { env, encoding: 'utf8' }).stderr)?.[1];
}

/** Starts them, one worker each, and the API, which is a third NGINX that answers by itself. */
export async function startGateways(
  cleanup: AsyncDisposableStack,
  world: World,
): Promise<Gateways> {
  const [api, bare, asking] = [await freePort(), await freePort(), await freePort()];
  const files = {
    'gateway.crt': world.server.certificatePem,
    'gateway.key': world.server.privateKeyPem,
    'proxy.crt': world.proxy?.certificate.certificatePem ?? '',
    'proxy.key': world.proxy?.certificate.privateKeyPem ?? '',
    'countersign-ca.crt': world.authority.certificatePem,
  };
  const start = async (port: number, http: (at: string) => string) => {
    const nginx = await startNginx({ ports: [port], files, http });
    cleanup.defer(() => nginx.stop());
  };
  await start(api, () => `server { listen 127.0.0.1:${String(api)}; return 200 served; }`);
  await start(bare, (at) => bareConfiguration(at, bare, api));
  const shipped = await shippedFile('deploy/nginx/forward-auth.conf');
  await start(asking, (at) =>
    adapted(shipped, [
      ['countersign.internal:3444', `127.0.0.1:${String(world.places.large.mtlsPort)}`],
      ['proxy_ssl_name countersign.internal', 'proxy_ssl_name localhost'],
      ['listen 443', `listen 127.0.0.1:${String(asking)}`],
      ['127.0.0.1:8080', `127.0.0.1:${String(api)}`],
      ['/etc/nginx/countersign/', `${at}/`],
    ]),
  );
  return { asking, bare };
}

/** The one that we ship without its questions. */
function bareConfiguration(at: string, port: number, api: number): string {
  return `server {
    listen 127.0.0.1:${String(port)} ssl;
    server_tokens off;
    ssl_certificate ${at}/gateway.crt;
    ssl_certificate_key ${at}/gateway.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_verify_client optional_no_ca;
    ssl_session_tickets off;
    ssl_session_cache off;
    location / {
      proxy_set_header Host $host;
      proxy_pass http://127.0.0.1:${String(api)};
    }
  }`;
}
