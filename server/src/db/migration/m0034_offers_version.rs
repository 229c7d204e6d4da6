//! A number that grows with each change of what hosts are offered: whoever has seen it
//! knows whether something has changed since. Triggers see to it, so that no statement
//! can forget it.
//!
//! On PostgreSQL they run when a transaction is about to commit: its row is then the
//! last that it locks, so that no two wait for each other, and the number grows in the
//! order of the commits. A transaction counts once, however much it changes.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0034_offers_version",
    statements: &[
        "CREATE TABLE offers_version (number BIGINT NOT NULL)",
        "INSERT INTO offers_version (number) VALUES (1)",
    ],
    sqlite: &[
        "CREATE TRIGGER offers_updates_1 AFTER INSERT ON updates WHEN NEW.released_at IS NOT NULL
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_updates_2 AFTER UPDATE OF
             name, released_at, channel, revoked_at, revoke_reason, revoke_undo ON updates
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_updates_3 AFTER DELETE ON updates
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_jobs_1 AFTER INSERT ON jobs WHEN NEW.status = 'built'
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_jobs_2 AFTER UPDATE OF
             status, target, package_sha256, package_bytes ON jobs
         WHEN OLD.status = 'built' OR NEW.status = 'built'
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_jobs_3 AFTER DELETE ON jobs
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_promotions_1 AFTER INSERT ON promotions
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_promotions_2 AFTER UPDATE ON promotions
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_promotions_3 AFTER DELETE ON promotions
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_supersedes_1 AFTER INSERT ON supersedes
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_supersedes_2 AFTER UPDATE ON supersedes
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_supersedes_3 AFTER DELETE ON supersedes
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_rollouts_1 AFTER INSERT ON rollouts
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_rollouts_2 AFTER UPDATE ON rollouts
         BEGIN UPDATE offers_version SET number = number + 1; END",
        "CREATE TRIGGER offers_rollouts_3 AFTER DELETE ON rollouts
         BEGIN UPDATE offers_version SET number = number + 1; END",
    ],
    postgres: &[
        "CREATE FUNCTION offers_changed() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             -- Unset again when the transaction ends.
             IF current_setting('resplice.offers_changed', true) = 'yes' THEN
                 RETURN NULL;
             END IF;
             PERFORM set_config('resplice.offers_changed', 'yes', true);
             UPDATE offers_version SET number = number + 1;
             RETURN NULL;
         END $$",
        "CREATE CONSTRAINT TRIGGER offers_updates_1 AFTER INSERT ON updates
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.released_at IS NOT NULL)
         EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_updates_2 AFTER UPDATE OF
             name, released_at, channel, revoked_at, revoke_reason, revoke_undo OR DELETE ON updates
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_jobs_1 AFTER INSERT ON jobs
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'built')
         EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_jobs_2 AFTER UPDATE OF
             status, target, package_sha256, package_bytes ON jobs
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
         WHEN (OLD.status = 'built' OR NEW.status = 'built') EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_jobs_3 AFTER DELETE ON jobs
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_promotions AFTER INSERT OR UPDATE OR DELETE ON promotions
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_supersedes AFTER INSERT OR UPDATE OR DELETE ON supersedes
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION offers_changed()",
        "CREATE CONSTRAINT TRIGGER offers_rollouts AFTER INSERT OR UPDATE OR DELETE ON rollouts
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION offers_changed()",
    ],
};
