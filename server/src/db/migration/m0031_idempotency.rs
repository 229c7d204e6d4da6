//! What was answered to requests that named a key.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0031_idempotency",
    statements: &[
        // No status: it began, and has not ended.
        "CREATE TABLE idempotency (
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            request TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            status BIGINT,
            content_type TEXT,
            location TEXT,
            body BYTEA,
            PRIMARY KEY (owner, name)
        )",
        "CREATE INDEX idempotency_by_time ON idempotency (created_at)",
    ],
    ..Migration::PLAIN
};
