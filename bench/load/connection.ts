import { Client } from 'undici';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';

/** An answer with its whole body. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** One kept connection; one request at a time. */
export interface Connection {
  get: (path: string, headers?: Record<string, string>) => Promise<Answer>;
  post: (
    path: string,
    form: Record<string, string>,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  postJson: (path: string, body: string, headers?: Record<string, string>) => Promise<Answer>;
  /** Ends it; nothing can be sent any more. */
  close: () => Promise<void>;
}

/** Where to, in whose name, and how to prove it. */
export interface ConnectionOptions {
  port: number;
  /** What the server is called; a process beside another one has the same name on another port. */
  origin: string;
  ca: string;
  certificate?: IssuedCertificate;
}

/** Longer than a round of all figures: TLS handshakes are not what is measured. */
const keepAliveMs = 600_000;

export function openConnection(options: ConnectionOptions): Connection {
  const { port, origin, ca, certificate } = options;
  const { host } = new URL(origin);
  const client = new Client(`https://127.0.0.1:${String(port)}`, {
    connect: {
      ca,
      servername: 'localhost',
      ...(certificate && { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
    },
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
  });

  async function send(request: {
    method: 'GET' | 'POST';
    path: string;
    headers: Record<string, string>;
    body?: string;
  }): Promise<Answer> {
    const { statusCode, headers, body } = await client.request({
      ...request,
      headers: { host, ...request.headers },
    });
    return { status: statusCode, headers, text: await body.text() };
  }

  return {
    get: (path, headers = {}) => send({ method: 'GET', path, headers }),
    post(path, form, headers = {}) {
      const body = new URLSearchParams(form).toString();
      const type = { 'content-type': 'application/x-www-form-urlencoded' };
      return send({ method: 'POST', path, headers: { ...type, ...headers }, body });
    },
    postJson(path, body, headers = {}) {
      const type = { 'content-type': 'application/json' };
      return send({ method: 'POST', path, headers: { ...type, ...headers }, body });
    },
    close: () => client.close(),
  };
}
