import { createHash } from 'node:crypto';
import pg from 'pg';
import { schema } from './schema.ts';

/** For whom a request works, as its token and consent say; row-level security holds the database to it. */
export interface Mandate {
  /** The customer, as the bank knows them. */
  holder: string;
  /** The accounts that the customer chose; undefined for all of theirs. */
  accounts: readonly string[] | undefined;
  consentId: string | undefined;
  /** The transactions that may be seen. */
  from: Date | undefined;
  to: Date | undefined;
}

export interface Account {
  accountId: string;
  holder: string;
  name: string;
  currency: string;
}

export interface Balance {
  /** Decimal text. */
  amount: string;
  currency: string;
}

export interface Transaction {
  bookedAt: string;
  /** Decimal text, below zero for debits. */
  amount: string;
  reference: string;
}

/** What is to be paid, as the customer has seen it (dynamic linking). */
export interface Order {
  accountId: string;
  amount: string;
  currency: string;
  payee: string;
}

export interface Payment {
  paymentId: string;
  consentId: string;
  status: 'received' | 'accepted' | 'rejected';
}

/** The sample bank's books. Each method works for the mandate, and sees nothing else. */
export interface Bank {
  accounts(mandate: Mandate): Promise<Account[]>;
  /** Undefined for an account that the mandate has not. */
  balance(mandate: Mandate, accountId: string): Promise<Balance | undefined>;
  /** Empty for an account that the mandate has not; the newest first. */
  transactions(mandate: Mandate, accountId: string): Promise<Transaction[]>;
  /** The payment of this consent: newly written down, or what has become of it. */
  receive(mandate: Mandate, order: Order): Promise<Payment>;
  /** Books a received payment, or rejects it; a settled one stays as it is. */
  settle(mandate: Mandate, payment: Payment, status: 'accepted' | 'rejected'): Promise<Payment>;
  /** Payments that were received and not settled, with whose they are: what a crash has left. */
  unsettled(): Promise<{ payment: Payment; mandate: Mandate }[]>;
  close(): Promise<void>;
}

/** Where the books are. */
export interface BankOptions {
  /** Owns the tables, and is used for what nobody asks for: the schema, sample accounts, what a crash has left. */
  owner: pg.PoolConfig;
  /** Answers requests; a role of its own, for which row-level security holds. */
  api: pg.PoolConfig;
  /** Ids and names of the accounts that a customer has; opened when they first come. */
  accountsOf: (holder: string) => Promise<readonly { id: string; name: string }[]>;
}

/** Opens the books, and makes what is missing. */
export async function openBank({ owner, api, accountsOf }: BankOptions): Promise<Bank> {
  const owning = openPool({ ...owner, max: 2 });
  const answering = openPool({ ...api, max: 10 });
  // In one transaction, and one process after the other: several may start at once, and concurrent CREATEs fail.
  await owning.query(`SELECT pg_advisory_xact_lock(20261122); ${schema}`);
  const open = createOpening(owning, accountsOf);

  async function as<T>(mandate: Mandate, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    await open(mandate.holder);
    const client = await answering.connect();
    try {
      await client.query('BEGIN');
      await client.query(settings, settingsOf(mandate));
      const result = await work(client);
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      client.release(true); // whatever it is in the middle of ends with the connection
      throw error;
    }
  }

  return {
    ...reading(as),
    ...paying(as),

    async unsettled() {
      const { rows } = await owning.query<PaymentRow & { holder: string; accountId: string }>(
        `SELECT ${paymentColumns}, holder, account_id AS "accountId" FROM bank.payments WHERE status = 'received'`,
      );
      return rows.map(({ holder, accountId, ...payment }) => ({
        payment,
        mandate: {
          ...{ holder, accounts: [accountId], consentId: payment.consentId },
          ...{ from: undefined, to: undefined },
        },
      }));
    },

    async close() {
      await Promise.all([owning.end(), answering.end()]);
    },
  };
}

/** A connection that breaks while nobody uses it is replaced; without a listener it would end the process. */
function openPool(config: pg.PoolConfig): pg.Pool {
  return new pg.Pool(config).on('error', () => undefined);
}

/** They end with the transaction. */
const settings = `SELECT set_config('bank.holder', $1, true), set_config('bank.accounts', $2, true),
  set_config('bank.consent', $3, true), set_config('bank.from', $4, true), set_config('bank.to', $5, true)`;

function settingsOf({ holder, accounts, consentId, from, to }: Mandate): string[] {
  return [
    holder,
    accounts === undefined ? '*' : accounts.join(' '),
    consentId ?? '',
    from?.toISOString() ?? '-infinity',
    to?.toISOString() ?? 'infinity',
  ];
}

type As = <T>(mandate: Mandate, work: (client: pg.PoolClient) => Promise<T>) => Promise<T>;

function reading(as: As): Pick<Bank, 'accounts' | 'balance' | 'transactions'> {
  return {
    accounts: (mandate) =>
      as(mandate, async (client) => {
        const { rows } = await client.query<Account>(
          'SELECT id AS "accountId", holder, name, currency FROM bank.accounts ORDER BY id',
        );
        return rows;
      }),

    balance: (mandate, accountId) =>
      as(mandate, async (client) => {
        const { rows } = await client.query<Balance>(
          'SELECT balance AS amount, currency FROM bank.accounts WHERE id = $1',
          [accountId],
        );
        return rows[0];
      }),

    transactions: (mandate, accountId) =>
      as(mandate, async (client) => {
        const { rows } = await client.query<{ bookedAt: Date; amount: string; reference: string }>(
          `SELECT booked_at AS "bookedAt", amount, reference FROM bank.transactions WHERE account_id = $1
           ORDER BY booked_at DESC, id DESC LIMIT 100`,
          [accountId],
        );
        return rows.map((row) => ({ ...row, bookedAt: row.bookedAt.toISOString() }));
      }),
  };
}

type PaymentRow = Payment;

const paymentColumns = 'id AS "paymentId", consent_id AS "consentId", status';

function paying(as: As): Pick<Bank, 'receive' | 'settle'> {
  const find = async (client: pg.PoolClient, consentId: string) => {
    const { rows } = await client.query<PaymentRow>(
      `SELECT ${paymentColumns} FROM bank.payments WHERE consent_id = $1`,
      [consentId],
    );
    const [payment] = rows;
    if (payment === undefined) throw new Error('the payment is not there');
    return payment;
  };
  return {
    receive: (mandate, order) =>
      as(mandate, async (client) => {
        const consentId = mandate.consentId ?? '';
        const { accountId, amount, currency, payee } = order;
        await client.query(
          `INSERT INTO bank.payments (id, consent_id, holder, account_id, amount, currency, payee)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (consent_id) DO NOTHING`,
          [paymentIdOf(consentId), consentId, mandate.holder, accountId, amount, currency, payee],
        );
        return find(client, consentId);
      }),

    settle: (mandate, { consentId }, status) =>
      as(mandate, async (client) => {
        await client.query(
          `UPDATE bank.payments SET status = $2 WHERE consent_id = $1 AND status = 'received'`,
          [consentId, status],
        );
        return find(client, consentId);
      }),
  };
}

/** The same for the same consent, so that it can be told again after a crash. */
function paymentIdOf(consentId: string): string {
  return `pay-${createHash('sha256').update(consentId).digest('hex').slice(0, 32)}`;
}

/** Opens each customer's sample accounts once. */
function createOpening(owner: pg.Pool, accountsOf: BankOptions['accountsOf']) {
  const opened = new Map<string, Promise<void>>();

  async function openAccounts(holder: string): Promise<void> {
    const pence = createHash('sha256').update(holder).digest();
    for (const [at, { id, name }] of (await accountsOf(holder)).entries()) {
      const balance = (pence.readUInt32BE((at % 8) * 4) / 256 / 100).toFixed(2);
      await owner.query(
        `WITH opened AS (
           INSERT INTO bank.accounts (id, holder, name, currency, balance) VALUES ($1, $2, $3, 'GBP', $4)
           ON CONFLICT (id) DO NOTHING RETURNING id)
         INSERT INTO bank.transactions (account_id, amount, reference) SELECT id, $4, 'Opening balance' FROM opened`,
        [id, holder, name, balance],
      );
    }
  }

  return function open(holder: string): Promise<void> {
    const opening = opened.get(holder) ?? openAccounts(holder);
    opened.set(holder, opening);
    opening.catch(() => opened.delete(holder));
    return opening;
  };
}
