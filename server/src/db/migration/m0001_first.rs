//! What the service began with.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0001_first",
    statements: &[
        "CREATE TABLE tokens (
            id TEXT PRIMARY KEY,
            role TEXT NOT NULL,
            name TEXT NOT NULL,
            host_id TEXT,
            sha256 TEXT NOT NULL,
            created_at BIGINT NOT NULL
        )",
        "CREATE TABLE audit (
            id TEXT PRIMARY KEY,
            at BIGINT NOT NULL,
            actor TEXT NOT NULL,
            role TEXT NOT NULL,
            action TEXT NOT NULL,
            object TEXT NOT NULL,
            result TEXT,
            status BIGINT,
            completed_at BIGINT
        )",
        "CREATE TABLE updates (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            cves TEXT NOT NULL,
            notes TEXT NOT NULL,
            files TEXT NOT NULL,
            patch_sha256 TEXT NOT NULL,
            patch_bytes BIGINT NOT NULL,
            check_sha256 TEXT,
            uploaded_by TEXT NOT NULL,
            uploader_token TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            released_at BIGINT,
            released_by TEXT,
            release_comment TEXT
        )",
        "CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            update_id TEXT NOT NULL REFERENCES updates (id),
            target TEXT NOT NULL,
            status TEXT NOT NULL,
            attempt BIGINT NOT NULL,
            worker TEXT,
            lease_expires_at BIGINT,
            created_at BIGINT NOT NULL,
            started_at BIGINT,
            finished_at BIGINT,
            exit_code BIGINT,
            reason TEXT,
            report TEXT,
            steps TEXT NOT NULL,
            package_sha256 TEXT,
            package_bytes BIGINT,
            kernel_id TEXT,
            signer TEXT,
            UNIQUE (update_id, target)
        )",
        "CREATE INDEX jobs_by_status ON jobs (status, created_at)",
        "CREATE INDEX jobs_by_package ON jobs (package_sha256)",
        "CREATE TABLE attempts (
            job_id TEXT NOT NULL REFERENCES jobs (id),
            attempt BIGINT NOT NULL,
            worker TEXT NOT NULL,
            token_id TEXT NOT NULL,
            started_at BIGINT NOT NULL,
            finished_at BIGINT,
            outcome TEXT,
            PRIMARY KEY (job_id, attempt)
        )",
        "CREATE TABLE workers (
            name TEXT PRIMARY KEY,
            public_key TEXT NOT NULL UNIQUE,
            registered_at BIGINT NOT NULL
        )",
        "CREATE TABLE hosts (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            target TEXT NOT NULL,
            kernel_release TEXT NOT NULL,
            public_key TEXT NOT NULL UNIQUE,
            enrolled_at BIGINT NOT NULL,
            last_seen_at BIGINT NOT NULL
        )",
        "CREATE TABLE reports (
            id TEXT PRIMARY KEY,
            host_id TEXT NOT NULL REFERENCES hosts (id),
            update_id TEXT NOT NULL REFERENCES updates (id),
            event TEXT NOT NULL,
            detail TEXT NOT NULL,
            pause_ns BIGINT,
            timeline TEXT NOT NULL,
            received_at BIGINT NOT NULL
        )",
        "CREATE INDEX reports_by_update ON reports (update_id, id)",
        "CREATE INDEX reports_by_host ON reports (host_id, update_id, id)",
    ],
    ..Migration::PLAIN
};
