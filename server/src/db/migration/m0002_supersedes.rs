//! All updates whose place an update takes, those that these had taken included.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0002_supersedes",
    statements: &[
        "CREATE TABLE supersedes (
            update_id TEXT NOT NULL REFERENCES updates (id),
            older_id TEXT NOT NULL REFERENCES updates (id),
            PRIMARY KEY (update_id, older_id)
        )",
        "CREATE INDEX supersedes_by_older ON supersedes (older_id)",
    ],
    ..Migration::PLAIN
};
