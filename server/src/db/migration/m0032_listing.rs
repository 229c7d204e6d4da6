//! The instructions of replaced functions.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0032_listing",
    statements: &["ALTER TABLE jobs ADD COLUMN listing_sha256 TEXT"],
    ..Migration::PLAIN
};
