//! Waves, their gates, and groups of hosts.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0008_waves",
    statements: &[
        "CREATE TABLE wave_plans (
            name TEXT PRIMARY KEY,
            plan TEXT NOT NULL,
            changed_by TEXT NOT NULL,
            changed_at BIGINT NOT NULL
        )",
        "CREATE TABLE rollouts (
            update_id TEXT PRIMARY KEY REFERENCES updates (id),
            channel TEXT NOT NULL,
            plan TEXT NOT NULL,
            wave TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL,
            started_at BIGINT NOT NULL,
            counted_from BIGINT NOT NULL,
            held_us BIGINT NOT NULL,
            held_since BIGINT
        )",
        "CREATE TABLE offered (
            update_id TEXT NOT NULL REFERENCES updates (id),
            host_id TEXT NOT NULL REFERENCES hosts (id),
            offered_at BIGINT NOT NULL,
            PRIMARY KEY (update_id, host_id)
        )",
        "CREATE INDEX offered_by_host ON offered (host_id)",
        "CREATE TABLE host_groups (
            host_id TEXT NOT NULL REFERENCES hosts (id),
            name TEXT NOT NULL,
            PRIMARY KEY (host_id, name)
        )",
        "CREATE TABLE frozen_groups (
            name TEXT PRIMARY KEY,
            reason TEXT NOT NULL,
            frozen_by TEXT NOT NULL,
            frozen_at BIGINT NOT NULL
        )",
        "ALTER TABLE reports ADD COLUMN code TEXT",
    ],
    ..Migration::PLAIN
};
