//! When a host was seen is written at nearly every poll. No index holds it any more, so
//! that this changes one place: on PostgreSQL within the page, if there is room. Neighbours
//! are written together, so there is some for a second row of each.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0036_host_seen",
    statements: &[
        // Another name: another connection may not know yet that the old one is gone.
        "DROP INDEX hosts_by_target",
        "CREATE INDEX hosts_by_kernel ON hosts (target, channel)",
    ],
    postgres: &["ALTER TABLE hosts SET (fillfactor = 45)"],
    ..Migration::PLAIN
};
