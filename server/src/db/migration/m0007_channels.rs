//! Channels. What was released before there were any is for everybody.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0007_channels",
    statements: &[
        "ALTER TABLE updates ADD COLUMN channel TEXT",
        "UPDATE updates SET channel = 'stable' WHERE released_at IS NOT NULL",
        "ALTER TABLE hosts ADD COLUMN channel TEXT NOT NULL DEFAULT 'stable'",
        "CREATE TABLE promotions (
            id TEXT PRIMARY KEY,
            update_id TEXT NOT NULL REFERENCES updates (id),
            channel TEXT NOT NULL,
            promoted_by TEXT NOT NULL,
            promoted_at BIGINT NOT NULL,
            comment TEXT NOT NULL
        )",
        "CREATE INDEX promotions_by_update ON promotions (update_id, promoted_at)",
        "INSERT INTO promotions (id, update_id, channel, promoted_by, promoted_at, comment)
         SELECT id, id, 'stable', COALESCE(released_by, ''), released_at, COALESCE(release_comment, '')
         FROM updates WHERE released_at IS NOT NULL",
    ],
    ..Migration::PLAIN
};
