import { request } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { gateway } from '../../support/edge.ts';
import { startConfigured } from './configured-peer.ts';
import { startEnvoy } from './envoy.ts';
import { fetched } from './fetched.ts';
import { startNginx } from './nginx.ts';
import { adapted, shippedFile } from './shipped.ts';

/** Where a gateway stands, by ports of this machine. */
export interface GatewayPlace {
  listening: number;
  /** What it shows its callers, who reach it as `gateway` of test/support/edge.ts. */
  shown: IssuedCertificate;
  /** What it proves itself to Countersign with. */
  proxy: IssuedCertificate;
  /** Where it asks. */
  countersign: number;
  /** PEM of who issued Countersign's certificate. */
  authority: string;
  api: number;
}

/** Starts a proxy with the configuration that we ship, but for the addresses and files of a test. */
export type StartGateway = (place: GatewayPlace) => Promise<{ stop(): Promise<void> }>;

const { hostname } = new URL(gateway);

const filesOf = ({ shown, proxy, authority }: GatewayPlace) => ({
  'gateway.crt': shown.certificatePem,
  'gateway.key': shown.privateKeyPem,
  'proxy.crt': proxy.certificatePem,
  'proxy.key': proxy.privateKeyPem,
  'countersign-ca.crt': authority,
});

export const startNginxGateway: StartGateway = async (place) => {
  const shipped = await shippedFile('deploy/nginx/forward-auth.conf');
  return startNginx({
    ports: [place.listening],
    http: (folder) =>
      adapted(shipped, [
        ['server countersign.internal:3444', `server 127.0.0.1:${String(place.countersign)}`],
        ['proxy_ssl_name countersign.internal', 'proxy_ssl_name localhost'],
        ['listen 443', `listen 127.0.0.1:${String(place.listening)}`],
        ['127.0.0.1:8080', `127.0.0.1:${String(place.api)}`],
        ['/etc/nginx/countersign/', `${folder}/`],
      ]),
    files: filesOf(place),
  });
};

export const startEnvoyGateway: StartGateway = async (place) => {
  const shipped = await shippedFile('deploy/envoy/forward-auth.yaml');
  const at = (port: number) => `address: 127.0.0.1, port_value: ${String(port)}`;
  return startEnvoy({
    ports: [place.listening],
    configuration: (folder) =>
      adapted(shipped, [
        ['address: 0.0.0.0, port_value: 443', at(place.listening)],
        ['address: api.internal, port_value: 8080', at(place.api)],
        ['address: countersign.internal, port_value: 3444', at(place.countersign)],
        ['countersign.internal', 'localhost'],
        ['api.bank.example', hostname],
        ['/etc/envoy/countersign/', `${folder}/`],
      ]),
    files: { ...filesOf(place), 'client-authorities.crt': place.authority },
  });
};

/** With the entry point that the shipped file tells of, or another one; its address is replaced. */
export const startTraefikGateway = async (
  place: GatewayPlace,
  entryPoint?: string,
): Promise<{ stop(): Promise<void> }> => {
  const shipped = await shippedFile('deploy/traefik/forward-auth.yaml');
  const told = entryPoint ?? entryPointIn(shipped);
  const peer = await startConfigured({
    command: fetched('traefik'),
    args: (folder) => [`--configFile=${folder}/static.yaml`],
    configuration: (folder) => ({
      'static.yaml': `${adapted(told, [["':443'", `127.0.0.1:${String(place.listening)}`]])}
providers: { file: { filename: ${folder}/dynamic.yaml, watch: false } }
global: { checkNewVersion: false, sendAnonymousUsage: false }
log: { level: WARN }
`,
      'dynamic.yaml': adapted(shipped, [
        ['https://countersign.internal:3444', `https://127.0.0.1:${String(place.countersign)}`],
        ['http://api.internal:8080', `http://127.0.0.1:${String(place.api)}`],
        ['api.bank.example', hostname],
        ['/etc/traefik/countersign/', `${folder}/`],
      ]),
    }),
    ...{ files: filesOf(place), ports: [place.listening] },
  });
  while (!(await hasRoutes(place.listening))) await wait(20);
  return peer;
};

/** The entry point that the comment at its head asks for. */
function entryPointIn(shipped: string): string {
  const [block] = /^# {3}entryPoints:\n(?:# {4}.*\n)+/m.exec(shipped) ?? [];
  if (block === undefined) throw new Error('the shipped text has no entry point');
  return block.replaceAll(/^# {3}/gm, '');
}

/** It takes connections before it has read its routes, and answers 404 till then. */
function hasRoutes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port, servername: hostname, agent: false },
        ...{ rejectUnauthorized: false, headers: { host: hostname } },
      },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode !== 404);
      },
    );
    asked.on('error', () => {
      resolve(false);
    });
    asked.end();
  });
}
