import { decodeProtectedHeader } from 'jose';
import { expect } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { signingAlgorithms } from '../../src/signing-keys/key-ring.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/key-ring.ts';
import { operatorBeside } from './key-ring.ts';
import type { Operator } from './key-ring.ts';
import { post } from './protocol.ts';
import type { Answer } from './protocol.ts';
import { startAuthorizationServer } from './server.ts';
import type { AuthorizationServer, ServerOptions } from './server.ts';

/** Two processes on one database whose keys of every algorithm are at another signer, and an operator beside them. */
export interface SigningWorld {
  first: AuthorizationServer;
  second: AuthorizationServer;
  operator: Operator;
  /** Asks a process for a token that a key of the algorithm signs. */
  ask: (at: AuthorizationServer, algorithm: SigningAlgorithm) => Promise<Answer>;
  tokenOf: (at: AuthorizationServer, algorithm: SigningAlgorithm) => Promise<string>;
  /** The signer of the key that signed a token. */
  signerOf: (token: string) => Promise<string | undefined>;
  /** Resolves when both processes sign again. */
  recover(): Promise<void>;
  close(): Promise<void>;
}

const within = { timeout: 20_000, interval: 50 };

const apiOf = (algorithm: SigningAlgorithm) => `https://${algorithm.toLowerCase()}.example.com`;

/** The key that signed a token. */
export const kidOf = (token: string) => decodeProtectedHeader(token).kid ?? '';

/** The metrics of a process, as Prometheus reads them. */
export async function metricsOf(at: AuthorizationServer): Promise<string> {
  return (await fetch(`${at.operationsOrigin}/metrics`)).text();
}

/** Starts both with the signer's settings, and moves every key there. */
export async function signingWorld(
  environment: Record<string, string>,
  options: Pick<ServerOptions, 'signerToken'> = {},
): Promise<SigningWorld> {
  const first = await startAuthorizationServer({
    ...{ ...options, environment },
    algorithms: signingAlgorithms.filter((algorithm) => algorithm !== 'RS256'),
    resourceServers: signingAlgorithms.map((algorithm) => ({
      ...{ identifier: apiOf(algorithm), name: algorithm, signingAlgorithm: algorithm },
      scopes: { read: { en: 'Read' } },
    })),
    clients: [
      {
        metadata: {
          client_id: 'machine',
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_auth_subject_dn: 'CN=tpp-1,O=Example TPP\\, Ltd,C=GB',
        },
        permissions: Object.fromEntries(signingAlgorithms.map((name) => [apiOf(name), ['read']])),
      },
    ],
  });
  const second = await startAuthorizationServer({ ...options, environment, beside: first });
  const operator = operatorBeside(first, systemClock, environment);
  for (const algorithm of signingAlgorithms) await operator.rotation.rotate(algorithm);

  const ask = (at: AuthorizationServer, algorithm: SigningAlgorithm) =>
    post(at.fetch(first.tpp), `${first.mtlsOrigin}/token`, {
      form: {
        ...{ grant_type: 'client_credentials', client_id: 'machine', scope: 'read' },
        resource: apiOf(algorithm),
      },
    });
  return {
    ...{ first, second, operator, ask },
    tokenOf: async (at, algorithm) => String((await ask(at, algorithm)).body['access_token']),
    async signerOf(token) {
      const { keys } = await operator.rotation.status();
      return keys.find(({ kid }) => kid === kidOf(token))?.signer;
    },
    async recover() {
      for (const server of [first, second]) {
        await expect.poll(async () => (await ask(server, 'RS256')).status, within).toBe(200);
      }
    },
    async close() {
      await operator.close();
      await second.stop();
      await first.stop();
    },
  };
}
