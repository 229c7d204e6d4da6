//! The transparency log over audit entries and releases. It follows the tables: a
//! row that has no index yet is appended.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0011_transparency",
    statements: &[
        "CREATE TABLE log_entries (seq BIGINT PRIMARY KEY, entry TEXT NOT NULL)",
        "CREATE TABLE log_tiles (
            level BIGINT NOT NULL,
            idx BIGINT NOT NULL,
            hashes TEXT NOT NULL,
            PRIMARY KEY (level, idx)
        )",
        "CREATE TABLE log_head (
            id BIGINT PRIMARY KEY,
            size BIGINT NOT NULL,
            checkpoint TEXT NOT NULL
        )",
        "INSERT INTO log_head (id, size, checkpoint) VALUES (1, 0, '')",
        "ALTER TABLE audit ADD COLUMN begin_seq BIGINT",
        "ALTER TABLE audit ADD COLUMN complete_seq BIGINT",
        "ALTER TABLE updates ADD COLUMN release_seq BIGINT",
        "CREATE INDEX audit_to_begin ON audit (id) WHERE begin_seq IS NULL",
        "CREATE INDEX audit_to_complete ON audit (id)
            WHERE completed_at IS NOT NULL AND complete_seq IS NULL",
        "CREATE INDEX updates_to_log ON updates (id)
            WHERE released_at IS NOT NULL AND release_seq IS NULL",
        "CREATE INDEX audit_by_begin ON audit (begin_seq)",
        "CREATE INDEX audit_by_complete ON audit (complete_seq)",
    ],
    ..Migration::PLAIN
};
