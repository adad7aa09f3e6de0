-- Tells every process at once what it must not remember any longer. A trigger, because it belongs to the same
-- transaction as the change, and because an operator's own SQL is heard too. An identical message within one
-- transaction is sent once (NOTIFY does that by itself).
CREATE FUNCTION countersign_announce_change() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  changed jsonb := to_jsonb(COALESCE(NEW, OLD));
BEGIN
  PERFORM pg_notify('countersign_changes', TG_ARGV[0] || ':' || COALESCE(changed ->> TG_ARGV[1], ''));
  RETURN NULL;
END
$$;

CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "clients"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('clients', 'id');

CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "client_permissions"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('clients', 'client_id');

CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "resource_servers"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('resource-servers', 'identifier');

CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "resource_server_scopes"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('resource-servers', 'resource_server_identifier');
