//! Build logs: what an attempt has written, in pieces, by the offset of their first byte.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0022_attempt_log",
    statements: &[
        "ALTER TABLE attempts ADD COLUMN log_bytes BIGINT NOT NULL DEFAULT 0",
        // To SQLite any name of a type will do: bytes stay bytes.
        "CREATE TABLE attempt_log (
            job_id TEXT NOT NULL,
            attempt BIGINT NOT NULL,
            at BIGINT NOT NULL,
            bytes BYTEA NOT NULL,
            PRIMARY KEY (job_id, attempt, at),
            FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, attempt)
        )",
    ],
    ..Migration::PLAIN
};
