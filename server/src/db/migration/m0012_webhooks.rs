//! Webhooks: what has happened to updates, who is told, and how far that has got.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0012_webhooks",
    statements: &[
        "CREATE TABLE events (
            id TEXT PRIMARY KEY,
            event TEXT NOT NULL,
            update_id TEXT NOT NULL REFERENCES updates (id),
            channel TEXT NOT NULL,
            reason TEXT NOT NULL,
            undo BIGINT NOT NULL,
            at BIGINT NOT NULL,
            handed_out_at BIGINT
        )",
        "CREATE INDEX events_by_update ON events (update_id, event)",
        "CREATE INDEX events_to_hand_out ON events (id) WHERE handed_out_at IS NULL",
        "CREATE TABLE webhooks (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            url TEXT NOT NULL,
            events TEXT NOT NULL,
            channel TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            told_from BIGINT NOT NULL,
            rotations BIGINT NOT NULL,
            rotated_at BIGINT,
            disabled_at BIGINT,
            disabled_reason TEXT
        )",
        "CREATE INDEX webhooks_by_owner ON webhooks (owner, id)",
        "CREATE TABLE deliveries (
            id TEXT PRIMARY KEY,
            webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
            event TEXT NOT NULL,
            update_id TEXT NOT NULL,
            payload TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            state TEXT NOT NULL,
            attempts BIGINT NOT NULL,
            next_at BIGINT NOT NULL,
            lease TEXT,
            lease_until BIGINT,
            last_status BIGINT,
            last_error TEXT
        )",
        "CREATE INDEX deliveries_to_send ON deliveries (next_at) WHERE state = 'waiting'",
        "CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id)",
    ],
    ..Migration::PLAIN
};
