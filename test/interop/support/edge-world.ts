import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { secondsFromNow, systemClock } from '../../../src/clock.ts';
import type { EdgePolicy } from '../../../src/edge/route-policy.ts';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import {
  clientCertificate,
  createTestCertificates,
  serverCertificate,
} from '../../support/certificates.ts';
import { edgeEnvironment, gateway } from '../../support/edge.ts';
import { fapiClient, fapiRegistration, newClientKey } from '../../support/fapi.ts';
import { freePort } from '../../support/free-port.ts';
import { accountsApi, startAuthorizationServer } from '../../support/server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startApi } from './edge-api.ts';
import { askByHttp2, askGateway } from './edge-caller.ts';
import type { Asked, AskedByHttp2 } from './edge-caller.ts';
import type { StartGateway } from './edge-gateways.ts';
import { startWitness } from './edge-witness.ts';

/** A gateway, what is behind it, and Countersign beside it. */
export type EdgeWorld = Awaited<ReturnType<typeof startEdgeWorld>>;

const route = (at: string, more: object = {}) => ({
  ...{ path: at, methods: ['GET'], resourceServer: accountsApi, scopes: ['accounts'] },
  ...more,
});

const routes = [
  route('/accounts'),
  route('/payments', { methods: ['POST'], scopes: ['payments'] }),
  route('/keys', { credentials: ['api-key'] }),
  route('/files/**', { scopes: [] }),
];

/** From where the keys of {@link startEdgeWorld} may be used: no gateway comes from there. */
export const keyHolder = '127.0.0.9';

/** Starts all of it: one gateway that asks Countersign, and one that is listened to when it asks. */
export async function startEdgeWorld(kind: EdgePolicy['proxy'], startGateway: StartGateway) {
  const { authority: proxyAuthority } = await createTestCertificates();
  const proxy = await clientCertificate(proxyAuthority, { sanDns: ['proxy.bank.internal'] });
  const key = await newClientKey();
  const { server, remove } = await startServer(kind, {
    clients: [fapiRegistration('bank-app', key)],
    truststore: proxyAuthority.certificatePem,
  });
  const { authority } = server.certificates;
  const countersign = server.running.ports.mtls;
  const witness = await startWitness({
    ...{ kind, proxy, countersign, shown: server.certificates.server },
    ...{ proxyAuthority: proxyAuthority.certificatePem, authority: authority.certificatePem },
  });
  const api = await startApi();
  const shown = await serverCertificate(authority, [new URL(gateway).hostname, 'localhost']);

  /** Starts a further one; resolves with where it listens. */
  async function startAnother(start: StartGateway, changed: Partial<Place>) {
    const listening = await freePort();
    const stop = await start({
      ...{ listening, shown, proxy, countersign, api: api.port },
      authority: authority.certificatePem,
      ...changed,
    });
    return { port: listening, stop: () => stop.stop() };
  }
  const [direct, heard] = await Promise.all([
    startAnother(startGateway, {}),
    startAnother(startGateway, { countersign: witness.port }),
  ]);
  const door = (port: number) => ({ port, authority: authority.certificatePem });

  return {
    ...{ server, proxy, api, direct, heard, witness },
    holder: fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() }),
    startAnother: (changed: Partial<Place>, start = startGateway) => startAnother(start, changed),
    /** With the certificate of "tpp", unless said. */
    ask: ({ at = direct.port, ...asked }: Asked & { at?: number }) =>
      askGateway(door(at), { certificate: server.tpp, ...asked }),
    /** The same over HTTP/2, at the gateway that is listened to. */
    askByHttp2: (asked: AskedByHttp2) =>
      askByHttp2(door(heard.port), { certificate: server.tpp, ...asked }),
    newKey: async (): Promise<string> => {
      const terms = {
        ...{ name: 'key', addresses: [`${keyHolder}/32`], limit: undefined },
        permissions: { [accountsApi]: ['accounts'] },
        expiresAt: secondsFromNow(systemClock, 3600),
      };
      const owner = { type: 'client', id: 'tpp' } as const;
      const { issuing } = server.running.app.apiKeys;
      const made = await issuing.create({ owner, terms, idempotency: undefined }, owner);
      return 'secret' in made ? (made.secret ?? '') : '';
    },
    async stop() {
      await Promise.all([direct.stop(), heard.stop()]);
      await witness.stop();
      api.stop();
      await server.stop();
      await remove();
    },
  };
}

type Place = Parameters<StartGateway>[0];

async function startServer(
  kind: EdgePolicy['proxy'],
  { clients, truststore }: { clients: Record<string, unknown>[]; truststore: string },
) {
  const policy = await edgeEnvironment({ proxy: kind, routes });
  const limits = await limitFile();
  const server = await startAuthorizationServer({
    ...{ algorithms: ['PS256'], clients },
    environment: {
      ...policy.environment,
      COUNTERSIGN_PROXY_CERTIFICATE_HEADER: kind,
      COUNTERSIGN_PROXY_TRUSTSTORE: truststore,
      COUNTERSIGN_PROXY_NAMES: 'dns:proxy.bank.internal',
      COUNTERSIGN_DPOP_NONCE_REQUIRED: 'true',
      COUNTERSIGN_RATE_LIMIT_POLICY: limits.file,
    },
  });
  const remove = () => Promise.all([policy.remove(), limits.remove()]);
  return { server, remove };
}

/** Each API key twice an hour. */
async function limitFile() {
  const folder = await temporaryDirectory();
  const file = path.join(folder.path, 'limits.json');
  const usual = { groups: ['edge'], algorithm: 'fixed-window', windowSeconds: 3600 };
  const rules = [{ ...usual, name: 'keys', per: 'api-key', limit: 2 }];
  await writeFile(file, JSON.stringify({ rules }));
  return { file, remove: () => folder.remove() };
}

/** A certificate like that of our proxies, by somebody else. */
export async function strangersCertificate(): Promise<IssuedCertificate> {
  const { authority } = await createTestCertificates();
  return clientCertificate(authority, { sanDns: ['proxy.bank.internal'] });
}
