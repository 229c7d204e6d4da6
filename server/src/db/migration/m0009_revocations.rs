//! Updates that were taken back, and what hosts are to do about it.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0009_revocations",
    statements: &[
        "ALTER TABLE updates ADD COLUMN revoked_at BIGINT",
        "ALTER TABLE updates ADD COLUMN revoked_by TEXT",
        "ALTER TABLE updates ADD COLUMN revoke_reason TEXT",
        "ALTER TABLE updates ADD COLUMN revoke_undo BIGINT",
    ],
    ..Migration::PLAIN
};
