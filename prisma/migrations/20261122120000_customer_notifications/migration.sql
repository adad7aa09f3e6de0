-- Processes remember the customers whose tokens are in use, and must hear of a change in the transaction that makes it.
-- Nobody remembers one that is new.
CREATE TRIGGER announce_change AFTER UPDATE OR DELETE ON "customers"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('customers', 'id');
