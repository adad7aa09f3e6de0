import { createServer } from 'node:https';
import { text as readText } from 'node:stream/consumers';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll } from 'vitest';
import {
  browserNamed,
  devices,
  isLogin,
  newCustomer,
  overview,
  signedIn,
} from './account-pages.ts';
import { createTestCertificates } from './certificates.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent } from './customer-agent.ts';
import { authorizationRequest, discover } from './openid.ts';
import { rows } from './protocol.ts';
import { accountsApi, startAuthorizationServer } from './server.ts';
import type { AuthorizationServer } from './server.ts';
import { createTestServers } from './tls-servers.ts';

export const safari =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1';
export const firefox =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0';

/** What tests of sessions stand on. */
export interface SessionParts {
  server: AuthorizationServer;
  /** The same data in another process. */
  beside: AuthorizationServer;
  /** A client that is told of logouts. */
  told: openid.Configuration;
}

/** The parameters of that client. */
export const forTold = {
  redirect_uri: 'https://told.example.com/callback',
  scope: 'openid accounts',
};

function toldClient(logoutUri: string) {
  return {
    metadata: {
      client_id: 'told',
      client_name: 'Told',
      redirect_uris: [forTold.redirect_uri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      backchannel_logout_uri: logoutUri,
      backchannel_logout_session_required: true,
    },
    permissions: { [accountsApi]: ['accounts'] },
  };
}

/** Two processes for a test file, whose clock a test can put ahead until it ends, and a client that is told of logouts. */
export function sessionWorld() {
  const listeners = createTestServers();
  const notices: string[] = [];
  let aheadMs = 0;
  let parts: SessionParts | undefined;
  const there = (): SessionParts => {
    if (parts === undefined) throw new Error('only within a test');
    return parts;
  };

  beforeAll(async () => {
    const { authority, server: own } = await createTestCertificates();
    const port = await listeners.listen(
      createServer({ cert: own.certificatePem, key: own.privateKeyPem }, (request, response) => {
        void readText(request).then((body) => {
          notices.push(new URLSearchParams(body).get('logout_token') ?? '');
          response.end();
        });
      }),
    );
    const host = `localhost:${String(port)}`;
    const options = {
      clock: { now: () => new Date(Date.now() + aheadMs) },
      environment: {
        COUNTERSIGN_OUTBOUND_ALLOW: host,
        COUNTERSIGN_OUTBOUND_TRUSTSTORE: authority.certificatePem,
      },
    };
    const clients = [toldClient(`https://${host}/told`)];
    const server = await startAuthorizationServer({ ...options, clients });
    const beside = await startAuthorizationServer({ ...options, beside: server });
    const told = await discover(server, { id: 'told', authentication: openid.None() });
    parts = { server, beside, told };
  });
  afterEach(() => {
    aheadMs = 0;
    notices.length = 0;
  });
  afterAll(async () => {
    await parts?.beside.stop();
    await parts?.server.stop();
    await listeners.close();
  });

  return {
    parts: there,
    /** Logout tokens that the client was sent. */
    notices,
    setAhead: (ms: number): void => {
      aheadMs = ms;
    },
    ...acts(there),
  };
}

function acts(there: () => SessionParts) {
  return {
    open: (path: string, as: CustomerAgent) => as.open(there().server.issuer + path),

    /** A customer of their own, and browsers in which they are signed in. */
    customerAt: async (...userAgents: string[]) => {
      const { server } = there();
      const credentials = await newCustomer(server);
      const agents: CustomerAgent[] = [];
      for (const userAgent of userAgents) {
        const agent = browserNamed(server, userAgent);
        await signedIn(server, { agent, credentials, path: devices });
        agents.push(agent);
      }
      const [first = createCustomerAgent(server), second = first] = agents;
      return { credentials, first, second };
    },

    /** Whether an app is let in without a login, and whether the customer's own pages are shown. */
    isSignedIn: async (agent: CustomerAgent, at = there().server) => {
      const fork = agent.fork(at);
      const { url } = await authorizationRequest(there().told, { ...forTold, prompt: 'none' });
      const error = new URL((await fork.open(url)).url).searchParams.get('error');
      const own = await fork.open(there().server.issuer + overview);
      return { atApps: error !== 'login_required', atOwnPages: !isLogin(own) };
    },

    /** How often this customer ended sessions. */
    auditOf: async (customerId: string): Promise<number> => {
      const { server, beside } = there();
      await server.running.app.audit.flush();
      await beside.running.app.audit.flush();
      const statement = `SELECT 1 FROM audit_events WHERE type = 'session.ended' AND customer_id = $1`;
      return (await rows(server, statement, [customerId])).length;
    },
  };
}

export const isIn = { atApps: true, atOwnPages: true };
export const isOut = { atApps: false, atOwnPages: false };
