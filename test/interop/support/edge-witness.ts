import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { headerLines } from '../../../src/edge/resource-server/request.ts';
import { readOriginal } from '../../../src/edge/original-request.ts';
import type { EdgePolicy } from '../../../src/edge/route-policy.ts';

/** Who hears what a gateway asks. */
export interface Witness {
  port: number;
  /** Method and target of each request that Countersign was asked about, as it reads them. */
  asked: string[];
  stop(): Promise<void>;
}

interface WitnessOptions {
  kind: EdgePolicy['proxy'];
  /** The certificate that it shows as Countersign does. */
  shown: IssuedCertificate;
  /** The proxy's, which it asks by; the gateway has to show one of the same issuer. */
  proxy: IssuedCertificate;
  /** PEM. */
  proxyAuthority: string;
  authority: string;
  /** The port of Countersign. */
  countersign: number;
}

/** Stands between a gateway and Countersign, hands everything on as it is, and remembers what was asked about. */
export async function startWitness(options: WitnessOptions): Promise<Witness> {
  const { kind, shown, proxyAuthority: ca } = options;
  const asked: string[] = [];
  const server = createServer(
    { cert: shown.certificatePem, key: shown.privateKeyPem, requestCert: true, ca },
    (request, response) => {
      const lines = headerLines(request);
      const { method = '', url = '' } = request;
      const header = (name: string) => lines.get(name) ?? [];
      const original = readOriginal(kind, { method, url, header });
      asked.push(original === undefined ? 'unreadable' : `${original.method} ${original.target}`);
      handOn(request, response, options);
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function handOn(
  request: IncomingMessage,
  response: ServerResponse,
  { proxy, countersign, authority }: WitnessOptions,
): void {
  // Node makes no request with this one that has no body; the server does not read it.
  const headers = request.rawHeaders.filter(
    (_, index, all) => all[index - (index % 2)]?.toLowerCase() !== 'trailer',
  );
  const outgoing = httpsRequest(
    {
      ...{ host: '127.0.0.1', port: countersign, servername: 'localhost', agent: false },
      ...{ cert: proxy.certificatePem, key: proxy.privateKeyPem, ca: authority },
      ...{ method: request.method, path: request.url, headers },
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
    },
  );
  outgoing.on('error', () => response.destroy());
  request.pipe(outgoing);
}
