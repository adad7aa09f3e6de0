import { writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import path from 'node:path';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { proxyHeaders } from './forwarded.ts';
import type { AuthorizationServer } from './server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** How a gateway's callers reach it. */
export const gateway = 'https://api.gateway.example';

const proxySecret = 'YzQ3ZjA5ODEyYjM0NTY3ODlhYmNkZWYwMTIzNDU2';

/** What a proxy is told. */
export interface EdgeAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Record<string, unknown>;
}

/** What a caller sends, as the proxy asks about it; lists are several lines. */
export interface EdgeQuestion {
  method?: string;
  target?: string;
  /** Of the caller. */
  certificate?: IssuedCertificate | undefined;
  headers?: Record<string, string | string[] | undefined>;
  /** Another process. */
  at?: AuthorizationServer;
}

/** A policy file, and the environment of a server that reads it and believes a proxy on this machine. */
export async function edgeEnvironment(policy: object) {
  const folder = await temporaryDirectory();
  const file = path.join(folder.path, 'edge.json');
  await writeFile(file, JSON.stringify({ proxy: 'nginx', origins: [gateway], ...policy }));
  return {
    environment: {
      COUNTERSIGN_EDGE_POLICY_FILE: file,
      COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'nginx',
      COUNTERSIGN_PROXY_ADDRESS_HEADER: 'x-forwarded-for',
      COUNTERSIGN_PROXY_NETWORKS: '127.0.0.1/32',
      COUNTERSIGN_PROXY_SECRETS: proxySecret,
      COUNTERSIGN_REVOCATION: 'off',
    },
    remove: () => folder.remove(),
  };
}

/** Asks as NGINX does: `headers` may replace, or leave out, what it sends by itself. */
export function askEdge(server: AuthorizationServer, question: EdgeQuestion): Promise<EdgeAnswer> {
  const { method = 'GET', target = '/accounts', certificate, headers = {} } = question;
  const all = {
    'countersign-proxy-secret': proxySecret,
    'x-original-method': method,
    'x-original-uri': target,
    'x-forwarded-for': '203.0.113.7',
    ...(certificate === undefined ? {} : proxyHeaders.nginx(certificate.certificatePem)),
    ...headers,
  };
  return askRaw(question.at ?? server, { url: '/edge/verify', method: 'GET', headers: all });
}

/** Any request at the mTLS host, without a certificate of its own. */
export function askRaw(
  { mtlsOrigin, running, certificates }: AuthorizationServer,
  asked: {
    url: string;
    method: string;
    headers: Record<string, string | string[] | undefined>;
  },
): Promise<EdgeAnswer> {
  const { host } = new URL(mtlsOrigin);
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        ...{ host: '127.0.0.1', port: running.ports.mtls, servername: 'localhost', agent: false },
        ...{ path: asked.url, method: asked.method, ca: certificates.authority.certificatePem },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject).on('end', () => {
          const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
      },
    );
    outgoing.setHeader('host', host);
    for (const [name, value] of Object.entries(asked.headers)) {
      if (value !== undefined) outgoing.setHeader(name, value);
    }
    outgoing.on('error', reject).end();
  });
}
