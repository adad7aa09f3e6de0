import type { Configuration } from 'openid-client';
import { sampleResource, sampleTppRedirectUri } from '../../src/development/sample-data.ts';
import { openEmbeddedBank } from '../resource-server/bank/embedded-bank.ts';
import { startApi } from '../resource-server/server.ts';
import { trustingFetch } from '../resource-server/trusting-fetch.ts';
import type { ClientCertificate } from '../resource-server/trusting-fetch.ts';
import { connect, fetchWith } from '../tpp/tpp.ts';
import { NotAsTold } from './narrator.ts';
import type { ApiCall } from './refused.ts';
import type { World } from './world.ts';

/** What the TPP asks for, at which resource server. */
export const access = {
  redirectUri: sampleTppRedirectUri,
  resource: sampleResource,
  scope: 'openid profile accounts',
};

/** openid-client as the sample TPP. Throws NotAsTold when the server is not the one that these keys belong to. */
export async function connectTpp({ issuer, ca, tpp }: World): Promise<Configuration> {
  const { redirectUri } = access;
  const fetch = fetchWith({ ...tpp, ca });
  try {
    return await connect({ issuer, clientId: 'sample-tpp', redirectUri, fetch });
  } catch (cause) {
    const told = `${issuer} does not answer with the certificate of this folder's keys`;
    throw new NotAsTold(told, { cause });
  }
}

/** The bank's API twice: `offline` verifies tokens by itself, `asking` introspects each as well. */
export interface Apis {
  offline(token: string, certificate?: ClientCertificate): ApiCall;
  asking(token: string, certificate?: ClientCertificate): ApiCall;
  /** What introspection says about a token. */
  isActive: (token: string) => Promise<boolean>;
}

/** Starts both. */
export async function startApis(world: World, cleanup: AsyncDisposableStack): Promise<Apis> {
  const { issuer, ca, server, resourceServerSecret } = world;
  const fetch = trustingFetch(ca);
  const client = { id: 'sample-resource-server', secret: resourceServerSecret };
  const bank = await openEmbeddedBank(world.dataDirectory);
  cleanup.defer(() => bank.close());
  const tls = { ...server, ca };
  const options = { issuer, identifier: sampleResource, tls, client, bank, port: 0, fetch };
  const offline = await startApi(options);
  cleanup.defer(() => offline.stop());
  const asking = await startApi({ ...options, introspect: true });
  cleanup.defer(() => asking.stop());
  const callTo =
    (url: string, what: string) => (token: string, certificate?: ClientCertificate) => ({
      what,
      url: `${url}/accounts`,
      token,
      fetch: trustingFetch(ca, certificate),
    });
  return {
    offline: callTo(offline.url, 'GET /accounts'),
    asking: callTo(asking.url, 'introspecting'),
    async isActive(token) {
      const { id, secret } = client;
      const response = await fetch(`${issuer}/introspect`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
        body: new URLSearchParams({ token }),
      });
      return ((await response.json()) as { active: boolean }).active;
    },
  };
}
