import { afterAll, afterEach, beforeAll } from 'vitest';
import { pageOf, signedIn } from './account-pages.ts';
import { journeysOf, lodgeAccess, plainConsents, startConsentServer } from './consents.ts';
import type { ConsentServer, Tpp } from './consents.ts';
import type { CustomerAgent, Page } from './customer-agent.ts';
import { basic, rows, send } from './protocol.ts';
import type { AuthorizationServer } from './server.ts';

/** What tests of the consents' pages stand on. */
export interface AccountParts {
  world: ConsentServer;
  server: AuthorizationServer;
  /** The same data in another process. */
  beside: AuthorizationServer;
  tpp: Tpp;
  journeys: ReturnType<typeof journeysOf>;
  /** Casey, signed in. */
  agent: CustomerAgent;
}

/** The form of a consent's page for changes. */
export interface ChangeForm {
  page: Page;
  /** The date in it. */
  until: string;
  /** Names of the fields for accounts, and those that are chosen as they are sent. */
  accounts: string[];
  chosen: Record<string, string>;
}

/** Two processes for a test file, whose clock a test can put ahead until it ends. */
export function accountWorld() {
  let parts: AccountParts | undefined;
  let aheadMs = 0;
  const there = (): AccountParts => {
    if (parts === undefined) throw new Error('only within a test');
    return parts;
  };

  beforeAll(async () => {
    const clock = { now: () => new Date(Date.now() + aheadMs) };
    const world = await startConsentServer({ clock });
    const { server, tpp } = world;
    const { agent } = await signedIn(server);
    const beside = await world.beside();
    parts = { world, server, beside, tpp, agent, journeys: journeysOf(world) };
  });
  afterEach(() => {
    aheadMs = 0;
  });
  afterAll(async () => {
    await parts?.beside.stop();
    await parts?.server.stop();
  });

  return {
    parts: there,
    setAhead: (ms: number): void => {
      aheadMs = ms;
    },
    ...reads(there),

    /** A consent that Casey authorised for the current account. */
    authorised: async (): Promise<string> => {
      const id = await lodgeAccess(there().tpp);
      await there().journeys.authorise(id);
      return id;
    },
  };
}

function reads(there: () => AccountParts) {
  const open = (path: string, as = there().agent) => as.open(there().server.issuer + path);

  return {
    open,

    changeForm: async (id: string, as = there().agent): Promise<ChangeForm> => {
      const page = await open(pageOf(id, '/change'), as);
      const named = [...page.html.matchAll(/name="(account:[^"]+)" value="on"( checked)?/g)];
      const chosen = named.filter(([, , isChosen]) => isChosen !== undefined);
      return {
        page,
        until: /name="until" type="date" value="([^"]*)"/.exec(page.html)?.[1] ?? '',
        accounts: named.map(([, name = '']) => name),
        chosen: Object.fromEntries(chosen.map(([, name = '']) => [name, 'on'])),
      };
    },

    /** Move, who made it, and why, for each step. */
    historyOf: async (id: string): Promise<unknown[]> => {
      const statement =
        'SELECT move, actor_type, reason FROM consent_history WHERE consent_id = $1 ORDER BY version';
      const found = await rows(there().server, statement, [id]);
      return found.map(({ move, actor_type: actor, reason }) => [move, actor, reason]);
    },

    /** How often the customer did this. */
    auditOf: async (type: string, id: string): Promise<number> => {
      const { server, beside } = there();
      await server.running.app.audit.flush();
      await beside.running.app.audit.flush();
      const statement = `SELECT 1 FROM audit_events
        WHERE type = $1 AND detail->>'consent' = $2 AND actor_id = $3`;
      return (await rows(server, statement, [type, id, server.customer.id])).length;
    },

    /** What a resource server is told. */
    statusOf: async (id: string, at = there().server) => {
      const headers = basic('bank-rs', there().world.serverSecret);
      const url = `${at.issuer}${plainConsents}/${id}/status`;
      const { body } = await send(at.fetch(), url, { headers });
      return body as { status: string; accounts: { id: string }[] };
    },
  };
}
