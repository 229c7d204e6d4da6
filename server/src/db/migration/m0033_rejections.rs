//! Updates that an engineer has read and will not release.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0033_rejections",
    statements: &[
        "ALTER TABLE updates ADD COLUMN rejected_at BIGINT",
        "ALTER TABLE updates ADD COLUMN rejected_by TEXT",
        "ALTER TABLE updates ADD COLUMN reject_reason TEXT",
    ],
    ..Migration::PLAIN
};
