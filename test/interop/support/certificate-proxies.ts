import { networkInterfaces } from 'node:os';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import type { TestCertificates } from '../../support/certificates.ts';
import type { AuthorizationServer } from '../../support/server.ts';
import { startEnvoy } from './envoy.ts';
import { startHaproxy } from './haproxy.ts';
import { startNginx } from './nginx.ts';
import { adapted, shippedFile } from './shipped.ts';
import { startTraefik } from './traefik.ts';

type Change = (shipped: string) => string;

/** What each proxy is started with: our shipped configuration with this test's addresses and files. */
export interface Setting {
  server: AuthorizationServer;
  /** Certificates of the far side of the proxy. */
  edge: TestCertificates;
  proxy: IssuedCertificate;
  ports: { public: number; mtls: number };
  /** Changes the shipped configuration. */
  change?: Change | undefined;
}

/** A running proxy. */
export interface RunningProxy {
  stop(): Promise<void>;
}

/** The proxies that deploy/ has configurations for, by their names in COUNTERSIGN_PROXY_CERTIFICATE_HEADER. */
export const certificateProxies = { nginx, haproxy, traefik, envoy } as const;

/** A name of {@link certificateProxies}. */
export type CertificateProxy = keyof typeof certificateProxies;

const protocols = ['HTTP/1.1', 'HTTP/2'] as const;

interface Habits {
  resumes: boolean;
  sendsChains: boolean;
  protocols: readonly (typeof protocols)[number][];
}

/** What they do with a client's connection as deploy/ configures them. */
export const habits: Record<CertificateProxy, Habits> = {
  nginx: { resumes: false, sendsChains: false, protocols: ['HTTP/1.1'] },
  haproxy: { resumes: false, sendsChains: true, protocols },
  traefik: { resumes: true, sendsChains: true, protocols },
  envoy: { resumes: true, sendsChains: true, protocols },
};

/** What Countersign hears of a caller at 127.0.0.1: Envoy puts an address of the machine in its place. */
export function loopbackBehind(kind: CertificateProxy): string {
  if (kind !== 'envoy') return '127.0.0.1';
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const own = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  return own?.address ?? '127.0.0.1';
}

/** Mistakes by which a proxy hands on what callers send. */
export const mistakes: Record<CertificateProxy, readonly Change[]> = {
  nginx: [(shipped) => shipped.replaceAll(/^ *proxy_set_header ssl-client-cert .*$/gm, '')],
  haproxy: [
    (shipped) => shipped.replaceAll(/^ *http-request \S+ X-SSL-Client-Cert(?: .*)?$/gm, ''),
  ],
  traefik: [(shipped) => shipped.replaceAll('without-certificate, ', '')],
  envoy: [
    (shipped) => shipped.replaceAll(/SANITIZE(?:_SET)?$/gm, 'ALWAYS_FORWARD_ONLY'),
    // From whoever shows a certificate, of whatever authority.
    (shipped) => shipped.replace('SANITIZE_SET', 'FORWARD_ONLY'),
  ],
};

async function changedFile(path: string, { change }: Setting): Promise<string> {
  const shipped = await shippedFile(path);
  const changed = change?.(shipped);
  if (changed === shipped) throw new Error(`nothing of ${path} was changed`);
  return changed ?? shipped;
}

const both = ({ certificatePem, privateKeyPem }: IssuedCertificate) =>
  certificatePem + privateKeyPem;

/** The files that all but HAProxy name. */
const filesOf = ({ server, edge, proxy }: Setting) => ({
  'server.crt': edge.server.certificatePem,
  'server.key': edge.server.privateKeyPem,
  'proxy.crt': proxy.certificatePem,
  'proxy.key': proxy.privateKeyPem,
  'countersign-ca.crt': server.certificates.authority.certificatePem,
});

async function nginx(setting: Setting): Promise<RunningProxy> {
  const { server, ports } = setting;
  const shipped = await changedFile('deploy/nginx/client-certificates.conf', setting);
  return startNginx({
    ports: [ports.public, ports.mtls],
    http: (folder) =>
      adapted(shipped, [
        ['Host auth.bank.example:8443', `Host localhost:${String(ports.mtls)}`],
        ['Host auth.bank.example', `Host localhost:${String(ports.public)}`],
        [
          'server countersign.internal:3444',
          `server 127.0.0.1:${String(server.running.ports.mtls)}`,
        ],
        ['proxy_ssl_name countersign.internal', 'proxy_ssl_name localhost'],
        ['server_name auth.bank.example', 'server_name localhost'],
        ['listen 443', `listen 127.0.0.1:${String(ports.public)}`],
        ['listen 8443', `listen 127.0.0.1:${String(ports.mtls)}`],
        ['/etc/nginx/countersign/', `${folder}/`],
      ]),
    files: filesOf(setting),
  });
}

async function haproxy(setting: Setting): Promise<RunningProxy> {
  const { server, edge, proxy, ports } = setting;
  const shipped = await changedFile('deploy/haproxy/client-certificates.cfg', setting);
  return startHaproxy({
    ports: [ports.public, ports.mtls],
    configuration: (folder) =>
      adapted(shipped, [
        ['Host auth.bank.example:8443', `Host localhost:${String(ports.mtls)}`],
        ['Host auth.bank.example', `Host localhost:${String(ports.public)}`],
        ['countersign.internal:3444', `127.0.0.1:${String(server.running.ports.mtls)}`],
        ['verifyhost countersign.internal', 'verifyhost localhost'],
        ['bind :443', `bind 127.0.0.1:${String(ports.public)}`],
        ['bind :8443', `bind 127.0.0.1:${String(ports.mtls)}`],
        ['/etc/haproxy/countersign/', `${folder}/`],
      ]),
    files: {
      'server.pem': both(edge.server),
      'proxy.pem': both(proxy),
      'client-authorities.pem': server.certificates.authority.certificatePem,
      'countersign-ca.crt': server.certificates.authority.certificatePem,
    },
  });
}

/**
 * It is told to believe everybody, as one does who has a load balancer in front: Traefik then hands on what strangers
 * say in X-Forwarded-…, and our lines alone keep it out.
 */
async function traefik(setting: Setting): Promise<RunningProxy> {
  const { server, ports } = setting;
  const shipped = await changedFile('deploy/traefik/client-certificates.yaml', setting);
  return startTraefik({
    entryPoints: ports,
    believesCallers: true,
    configuration: (folder) =>
      adapted(shipped, [
        ['auth.bank.example:8443', `localhost:${String(ports.mtls)}`],
        ['Host: auth.bank.example', `Host: 'localhost:${String(ports.public)}'`],
        ['Host(`auth.bank.example`)', 'Host(`localhost`)'],
        ['countersign.internal:3444', `127.0.0.1:${String(server.running.ports.mtls)}`],
        ['serverName: countersign.internal', 'serverName: localhost'],
        ['/etc/traefik/countersign/', `${folder}/`],
      ]),
    files: filesOf(setting),
  });
}

async function envoy(setting: Setting): Promise<RunningProxy> {
  const { server, ports } = setting;
  const shipped = await changedFile('deploy/envoy/client-certificates.yaml', setting);
  return startEnvoy({
    ports: [ports.public, ports.mtls],
    configuration: (folder) =>
      adapted(shipped, [
        ['auth.bank.example:8443', `localhost:${String(ports.mtls)}`],
        ['auth.bank.example', `localhost:${String(ports.public)}`],
        ['0.0.0.0, port_value: 443 }', `127.0.0.1, port_value: ${String(ports.public)} }`],
        ['0.0.0.0, port_value: 8443 }', `127.0.0.1, port_value: ${String(ports.mtls)} }`],
        [
          'countersign.internal, port_value: 3444',
          `127.0.0.1, port_value: ${String(server.running.ports.mtls)}`,
        ],
        ['sni: countersign.internal', 'sni: localhost'],
        ['exact: countersign.internal', 'exact: localhost'],
        ['/etc/envoy/countersign/', `${folder}/`],
      ]),
    files: {
      ...filesOf(setting),
      'client-authorities.crt': server.certificates.authority.certificatePem,
    },
  });
}
