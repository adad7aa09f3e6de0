import type { Middleware } from 'koa';
import type { AccessToken } from 'countersign/resource-server';
import { openBank } from '../../examples/resource-server/bank/bank.ts';
import type { Bank } from '../../examples/resource-server/bank/bank.ts';
import { apiRole } from '../../examples/resource-server/bank/schema.ts';
import { startApi } from '../../examples/resource-server/server.ts';
import type { ApiOptions, RunningApi } from '../../examples/resource-server/server.ts';
import { demoAccounts } from '../../src/consents/api/account-directory-api.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { bankApi } from './consents.ts';
import type { ConsentServer } from './consents.ts';
import { testDatabase } from './database.ts';
import type { TestDatabase } from './database.ts';
import { rows } from './protocol.ts';

/** The example resource server, as often as a test wants it, on one set of books. */
export interface SampleBank {
  database: TestDatabase;
  /** Row-level security holds. */
  bank: Bank;
  /** The same books, opened by their owner, for whom it does not. */
  unguarded: Bank;
  start(options?: Partial<ApiOptions>): Promise<RunningApi>;
  close(): Promise<void>;
}

/** The bank of the consent server's customers. */
export async function sampleBank({ server, serverSecret }: ConsentServer): Promise<SampleBank> {
  const database = await testDatabase('template0');
  const owner = database.connection;
  const open = (user: string) =>
    openBank({ owner, api: { ...owner, user }, accountsOf: demoAccounts });
  const bank = await open(apiRole);
  const unguarded = await open(owner.user);
  const started: RunningApi[] = [];
  const { authority, server: own } = server.certificates;
  return {
    ...{ database, bank, unguarded },
    async start(options = {}) {
      const api = await startApi({
        issuer: server.issuer,
        identifier: bankApi,
        tls: { cert: own.certificatePem, key: own.privateKeyPem, ca: authority.certificatePem },
        client: { id: 'bank-rs', secret: serverSecret },
        ...{ port: 0, bank, fetch: server.fetch() },
        ...options,
      });
      started.push(api);
      return api;
    },
    async close() {
      await Promise.all(started.map((api) => api.stop()));
      await Promise.all([bank.close(), unguarded.close()]);
      await database.close();
    },
  };
}

/** A guard that lets everybody in, as whoever `token` says. */
export function trusting(token: Partial<AccessToken>): () => Middleware {
  return () => async (ctx, next) => {
    ctx.state['token'] = token;
    await next();
  };
}

/** A call to an API of the bank. */
export interface BankCall {
  at: RunningApi;
  certificate?: IssuedCertificate | undefined;
  method?: string;
  json?: unknown;
}

/** Calls with the certificate of the world's TPP, unless another or none is given. */
export async function callBank(
  { server, tpp }: ConsentServer,
  { path, token }: { path: string; token: string },
  call: BankCall,
) {
  const { at, method = 'GET', json } = call;
  const certificate = 'certificate' in call ? call.certificate : tpp.certificate;
  const response = await server.fetch(certificate)(at.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: response.status, body };
}

/** Whose a consent is, and which accounts they have: the one that was chosen and the other. */
export async function accountsUnder({ server }: ConsentServer, id: string) {
  const sql = 'SELECT customer_id AS customer FROM consents WHERE id = $1';
  const [found] = await rows(server, sql, [id]);
  const customer = String(found?.['customer']);
  const [chosen = '', other = ''] = (await demoAccounts(customer)).map((account) => account.id);
  return { customer, chosen, other };
}

/** The sample bank opens accounts when their customer first comes. */
export async function openAccounts({ bank }: SampleBank, holder: string): Promise<void> {
  const none = { accounts: undefined, consentId: undefined, from: undefined, to: undefined };
  await bank.accounts({ holder, ...none });
}
