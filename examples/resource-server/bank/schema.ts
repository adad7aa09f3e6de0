/** The role that requests use; it owns nothing, so that row-level security holds for it. */
export const apiRole = 'sample_bank_api';

/**
 * Tables, policies and rights of the sample bank; may be run again. A transaction says for whom it works in the settings
 * `bank.*`, and what it says nothing about has no rows.
 */
export const schema = `
DO $$ BEGIN
  CREATE ROLE ${apiRole} LOGIN NOINHERIT;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- roles belong to all databases of a server
END $$;

CREATE SCHEMA IF NOT EXISTS bank;

CREATE TABLE IF NOT EXISTS bank.accounts (
  id text PRIMARY KEY,
  holder text NOT NULL,
  name text NOT NULL,
  currency text NOT NULL,
  balance numeric(15, 2) NOT NULL
);

CREATE TABLE IF NOT EXISTS bank.payments (
  id text PRIMARY KEY,
  -- One payment for one consent, whatever else goes wrong.
  consent_id text NOT NULL UNIQUE,
  holder text NOT NULL,
  account_id text NOT NULL REFERENCES bank.accounts,
  amount numeric(15, 2) NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  payee text NOT NULL,
  status text NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'accepted', 'rejected')),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS bank.transactions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id text NOT NULL REFERENCES bank.accounts,
  booked_at timestamptz NOT NULL DEFAULT now(),
  amount numeric(15, 2) NOT NULL, -- below zero for debits
  reference text NOT NULL
);

-- The last layer: a mistake in a query, or a forgotten check before it, shows nobody another's rows.
ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE bank.transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE bank.payments ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS allowed ON bank.accounts;
CREATE POLICY allowed ON bank.accounts FOR SELECT TO ${apiRole} USING (
  holder = current_setting('bank.holder', true)
  AND (current_setting('bank.accounts', true) = '*'
    OR id = ANY (string_to_array(current_setting('bank.accounts', true), ' '))));

DROP POLICY IF EXISTS allowed ON bank.transactions;
CREATE POLICY allowed ON bank.transactions FOR SELECT TO ${apiRole} USING (
  account_id IN (SELECT id FROM bank.accounts)
  AND booked_at BETWEEN current_setting('bank.from', true)::timestamptz
    AND current_setting('bank.to', true)::timestamptz);

DROP POLICY IF EXISTS seen ON bank.payments;
CREATE POLICY seen ON bank.payments FOR SELECT TO ${apiRole} USING (
  holder = current_setting('bank.holder', true) AND consent_id = current_setting('bank.consent', true));

DROP POLICY IF EXISTS made ON bank.payments;
CREATE POLICY made ON bank.payments FOR INSERT TO ${apiRole} WITH CHECK (
  holder = current_setting('bank.holder', true) AND consent_id = current_setting('bank.consent', true)
  AND status = 'received' AND account_id IN (SELECT id FROM bank.accounts));

DROP POLICY IF EXISTS settled ON bank.payments;
CREATE POLICY settled ON bank.payments FOR UPDATE TO ${apiRole} USING (
  holder = current_setting('bank.holder', true) AND consent_id = current_setting('bank.consent', true)
  AND status = 'received') WITH CHECK (status <> 'received');

-- The money moves with the status, in one transaction, and once: an accepted payment can't be updated.
CREATE OR REPLACE FUNCTION bank.book_payment() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  UPDATE bank.accounts SET balance = balance - NEW.amount WHERE id = NEW.account_id;
  INSERT INTO bank.transactions (account_id, amount, reference)
    VALUES (NEW.account_id, -NEW.amount, NEW.payee);
  RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS booked ON bank.payments;
CREATE TRIGGER booked AFTER UPDATE OF status ON bank.payments FOR EACH ROW
  WHEN (OLD.status = 'received' AND NEW.status = 'accepted') EXECUTE FUNCTION bank.book_payment();

GRANT USAGE ON SCHEMA bank TO ${apiRole};
GRANT SELECT ON bank.accounts, bank.transactions, bank.payments TO ${apiRole};
GRANT INSERT (id, consent_id, holder, account_id, amount, currency, payee) ON bank.payments TO ${apiRole};
GRANT UPDATE (status) ON bank.payments TO ${apiRole};
`;
