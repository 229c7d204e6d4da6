//! A number that grows with each change of what is known of a host that asks: its
//! token, its row but for when it was seen, its groups. Whoever has seen it knows
//! whether a host is still what it was. New tokens don't count: nobody knows them yet.
//!
//! As [`super::m0034_offers_version`], of which it has the order of commits. No
//! transaction changes what both count: it would lock two rows, in an order of its own.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0035_callers_version",
    statements: &[
        "CREATE TABLE callers_version (number BIGINT NOT NULL)",
        "INSERT INTO callers_version (number) VALUES (1)",
    ],
    sqlite: &[
        "CREATE TRIGGER callers_tokens_1 AFTER UPDATE OF
             id, role, name, host_id, sha256, expires_at, revoked_at, uses_left ON tokens
         WHEN OLD.host_id IS NOT NULL OR NEW.host_id IS NOT NULL
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_tokens_2 AFTER DELETE ON tokens WHEN OLD.host_id IS NOT NULL
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_hosts_1 AFTER UPDATE OF
             id, name, target, kernel_release, channel, public_key, enrolled_at ON hosts
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_hosts_2 AFTER DELETE ON hosts
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_groups_1 AFTER INSERT ON host_groups
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_groups_2 AFTER UPDATE ON host_groups
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_groups_3 AFTER DELETE ON host_groups
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_frozen_1 AFTER INSERT ON frozen_groups
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_frozen_2 AFTER UPDATE ON frozen_groups
         BEGIN UPDATE callers_version SET number = number + 1; END",
        "CREATE TRIGGER callers_frozen_3 AFTER DELETE ON frozen_groups
         BEGIN UPDATE callers_version SET number = number + 1; END",
    ],
    postgres: &[
        "CREATE FUNCTION callers_changed() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             -- Unset again when the transaction ends.
             IF current_setting('resplice.callers_changed', true) = 'yes' THEN
                 RETURN NULL;
             END IF;
             PERFORM set_config('resplice.callers_changed', 'yes', true);
             UPDATE callers_version SET number = number + 1;
             RETURN NULL;
         END $$",
        "CREATE CONSTRAINT TRIGGER callers_tokens_1 AFTER UPDATE OF
             id, role, name, host_id, sha256, expires_at, revoked_at, uses_left ON tokens
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
         WHEN (OLD.host_id IS NOT NULL OR NEW.host_id IS NOT NULL)
         EXECUTE FUNCTION callers_changed()",
        "CREATE CONSTRAINT TRIGGER callers_tokens_2 AFTER DELETE ON tokens
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.host_id IS NOT NULL)
         EXECUTE FUNCTION callers_changed()",
        "CREATE CONSTRAINT TRIGGER callers_hosts AFTER UPDATE OF
             id, name, target, kernel_release, channel, public_key, enrolled_at OR DELETE ON hosts
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION callers_changed()",
        "CREATE CONSTRAINT TRIGGER callers_groups AFTER INSERT OR UPDATE OR DELETE ON host_groups
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION callers_changed()",
        "CREATE CONSTRAINT TRIGGER callers_frozen AFTER INSERT OR UPDATE OR DELETE ON frozen_groups
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION callers_changed()",
    ],
};
