-- Processes remember the customers whose tokens are in use, and must hear of a change in the transaction that makes it.
CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "customers"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('customers', 'id');
