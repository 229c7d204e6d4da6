//! Tokens that an admin makes: who made them, until when they hold, when they were used.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0003_tokens",
    statements: &[
        "ALTER TABLE tokens ADD COLUMN created_by TEXT",
        "ALTER TABLE tokens ADD COLUMN expires_at BIGINT",
        "ALTER TABLE tokens ADD COLUMN last_used_at BIGINT",
        "ALTER TABLE tokens ADD COLUMN revoked_at BIGINT",
    ],
    ..Migration::PLAIN
};
