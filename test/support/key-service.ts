import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { clientCertificate, createTestCertificates } from './certificates.ts';
import type { Behaviour, ServiceReport } from './key-service-process.ts';

/** A key service in a process of its own. */
export interface KeyService {
  /** Settings by which Countersign makes its keys there. */
  environment: Record<string, string>;
  /** Has it behave so from now on. How many requests it got, had at once and refused since it was told last. */
  behave(
    mood: Behaviour['mood'],
    token?: string,
  ): Promise<{ asked: number; most: number; refused: number }>;
  close(): Promise<void>;
}

/** The access token that it takes unless told otherwise. */
export const serviceToken = 'hvs.k7V2mQ9xT4bL1sZ8';

const script = fileURLToPath(new URL('key-service-process.ts', import.meta.url));

/** Starts one; it asks for a client certificate of its own authority. */
export async function keyService(): Promise<KeyService> {
  const { authority, server } = await createTestCertificates();
  const client = await clientCertificate(authority, {
    subject: 'CN=countersign,O=Example Bank,C=GB',
  });
  const child = fork(script, { execArgv: [] });
  const heard = async () => ((await once(child, 'message')) as [ServiceReport])[0];
  const started = heard();
  child.send({
    ...{ certificatePem: server.certificatePem, privateKeyPem: server.privateKeyPem },
    ...{ authorityPem: authority.certificatePem, token: serviceToken },
  });
  const report = await started;
  if (!('port' in report)) throw new Error('the key service did not say its port');
  return {
    environment: {
      COUNTERSIGN_KEY_SIGNER: 'remote',
      COUNTERSIGN_SIGNER_URL: `https://localhost:${String(report.port)}/v1/transit`,
      COUNTERSIGN_SIGNER_TOKEN: serviceToken,
      COUNTERSIGN_SIGNER_TRUSTSTORE: authority.certificatePem,
      COUNTERSIGN_SIGNER_CERTIFICATE: client.certificatePem,
      COUNTERSIGN_SIGNER_PRIVATE_KEY: client.privateKeyPem,
    },
    async behave(mood, token = serviceToken) {
      const answered = heard();
      child.send({ mood, token } satisfies Behaviour);
      const counts = await answered;
      return 'behaves' in counts ? counts : { asked: 0, most: 0, refused: 0 };
    },
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
