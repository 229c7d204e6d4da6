//! People's accounts and their sessions.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0004_accounts",
    statements: &[
        "CREATE TABLE users (
            name TEXT PRIMARY KEY,
            roles TEXT NOT NULL,
            password TEXT NOT NULL,
            must_change BIGINT NOT NULL,
            created_by TEXT,
            created_at BIGINT NOT NULL,
            disabled_at BIGINT,
            last_sign_in_at BIGINT
        )",
        "CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            sha256 TEXT NOT NULL,
            user_name TEXT NOT NULL REFERENCES users (name),
            created_at BIGINT NOT NULL,
            last_used_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL
        )",
        "CREATE INDEX sessions_by_user ON sessions (user_name, created_at)",
    ],
    ..Migration::PLAIN
};
