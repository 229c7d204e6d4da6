//! Kernels: what the archive holds, what is being imported, what is built for no more.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0013_imports",
    statements: &[
        "CREATE TABLE imports (
            id TEXT PRIMARY KEY,
            target TEXT NOT NULL,
            asked_by TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            started_at BIGINT,
            ended_at BIGINT,
            state TEXT NOT NULL,
            tries BIGINT NOT NULL DEFAULT 0,
            steps TEXT NOT NULL DEFAULT '[]',
            step TEXT,
            done_bytes BIGINT NOT NULL DEFAULT 0,
            total_bytes BIGINT,
            reason TEXT,
            lease TEXT,
            lease_until BIGINT
        )",
        // One at a time for a kernel.
        "CREATE UNIQUE INDEX imports_open ON imports (target) WHERE ended_at IS NULL",
        "CREATE TABLE retired_targets (
            target TEXT PRIMARY KEY,
            retired_by TEXT NOT NULL,
            retired_at BIGINT NOT NULL,
            reason TEXT NOT NULL
        )",
        "CREATE TABLE archive_kernels (
            target TEXT PRIMARY KEY,
            package_version TEXT NOT NULL,
            missing TEXT NOT NULL,
            place BIGINT NOT NULL,
            first_seen_at BIGINT NOT NULL
        )",
        // One row at most: the last look.
        "CREATE TABLE archive_look (
            id BIGINT PRIMARY KEY,
            first_at BIGINT NOT NULL,
            looked_at BIGINT NOT NULL,
            problem TEXT
        )",
    ],
    ..Migration::PLAIN
};
