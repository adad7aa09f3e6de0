import { createServer } from 'node:https';
import { createTestCertificates } from './certificates.ts';
import { createTestServers } from './tls-servers.ts';

/** An attacker's server, which the authorization server could reach and would trust. */
export interface Lure {
  url: string;
  /** Environment under which nothing but its own judgement keeps the authorization server away. */
  environment: Record<string, string>;
  /** How often somebody came. */
  visits(): number;
  close(): Promise<void>;
}

/** Starts one that offers an empty key set. */
export async function startLure(): Promise<Lure> {
  const { authority, server } = await createTestCertificates();
  const servers = createTestServers();
  let visits = 0;
  const port = await servers.listen(
    createServer({ cert: server.certificatePem, key: server.privateKeyPem }, (_, response) => {
      visits += 1;
      response.end('{"keys":[]}');
    }),
  );
  return {
    url: `https://localhost:${String(port)}/keys`,
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(port)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: authority.certificatePem,
    },
    visits: () => visits,
    close: () => servers.close(),
  };
}
