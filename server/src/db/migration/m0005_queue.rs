//! The order of the queue, and what people say about its jobs.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0005_queue",
    statements: &[
        "ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN team TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE jobs ADD COLUMN not_before BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN losses BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN cancelled_by TEXT",
        "ALTER TABLE jobs ADD COLUMN cancel_reason TEXT",
        "ALTER TABLE attempts ADD COLUMN reason TEXT",
        "UPDATE jobs SET team =
             COALESCE((SELECT uploaded_by FROM updates WHERE updates.id = jobs.update_id), '')",
        "CREATE INDEX jobs_by_team ON jobs (team, status)",
    ],
    ..Migration::PLAIN
};
