import * as openid from 'openid-client';
import { clientCertificate } from './certificates.ts';
import type { authorize } from './journey.ts';
import { discoverWeb } from './journey.ts';
import { publicClient } from './oauth-client.ts';
import type { Sender } from './oauth-client.ts';
import { discover } from './openid.ts';
import { accountsApi } from './server.ts';
import type { AuthorizationServer } from './server.ts';

const permissions = { [accountsApi]: ['accounts'] };

/** The clients that flows need besides the usual ones. */
export const crashClients = [
  publicClient('spa', permissions),
  publicClient('bound', permissions, true),
];

/** What flows work with. */
export interface World {
  /** Never interrupted. */
  steady: AuthorizationServer;
  senders: Record<'web' | 'spa' | 'bound', Sender>;
  /** By client: openid-client, to build requests with. */
  configurations: Record<'web' | 'spa' | 'bound', Parameters<typeof authorize>[1]>;
  /** What clients were told, for a last look at the end. */
  told: {
    alive: { sender: Sender; refresh: string }[];
    dead: { sender: Sender; refresh: string }[];
  };
  /** Steps that were done without their client's learning of it: how well the moments are chosen. */
  doneUntold: number;
}

/** A world whose clients are those of {@link crashClients} and "web". */
export async function newWorld(server: AuthorizationServer): Promise<World> {
  const certificate = await clientCertificate(server.certificates.authority);
  const authentication = openid.None();
  const at = (id: string) => `https://${id}.example.com/callback`;
  return {
    steady: server,
    senders: {
      web: { id: 'web', redirectUri: at('web'), secret: server.secrets.web },
      spa: { id: 'spa', redirectUri: at('spa') },
      bound: { id: 'bound', redirectUri: at('bound'), certificate },
    },
    configurations: {
      web: await discoverWeb(server),
      spa: await discover(server, { id: 'spa', authentication }),
      bound: await discover(server, { id: 'bound', authentication, certificate }),
    },
    told: { alive: [], dead: [] },
    doneUntold: 0,
  };
}
