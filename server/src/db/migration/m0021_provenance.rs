//! Where packages come from.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0021_provenance",
    statements: &["ALTER TABLE jobs ADD COLUMN provenance_sha256 TEXT"],
    ..Migration::PLAIN
};
