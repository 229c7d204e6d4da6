//! How each update stands on each host: what reports add up to.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0020_fleet",
    statements: &[
        "CREATE TABLE host_updates (
            update_id TEXT NOT NULL REFERENCES updates (id),
            host_id TEXT NOT NULL REFERENCES hosts (id),
            target TEXT NOT NULL,
            report_id TEXT NOT NULL,
            event TEXT NOT NULL,
            code TEXT,
            at BIGINT NOT NULL,
            in_effect BIGINT NOT NULL,
            applied_at BIGINT,
            pause_ns BIGINT,
            PRIMARY KEY (update_id, host_id)
        )",
        "CREATE INDEX host_updates_by_host ON host_updates (host_id)",
        "CREATE INDEX host_updates_by_state ON host_updates
            (update_id, target, in_effect, event, code)",
        "CREATE INDEX host_updates_by_time ON host_updates (in_effect, applied_at, pause_ns)",
        "INSERT INTO host_updates (update_id, host_id, target, report_id, event, code, at,
             in_effect, applied_at, pause_ns)
         SELECT r.update_id, r.host_id, h.target, r.id, r.event, r.code, r.received_at,
             CASE WHEN a.event = 'applied' THEN 1 ELSE 0 END,
             CASE WHEN a.event = 'applied' THEN a.received_at END,
             CASE WHEN a.event = 'applied' THEN a.pause_ns END
         FROM reports r
         JOIN hosts h ON h.id = r.host_id
         LEFT JOIN reports a ON a.id = (SELECT MAX(e.id) FROM reports e
             WHERE e.host_id = r.host_id AND e.update_id = r.update_id
               AND e.event IN ('applied', 'undone'))
         WHERE r.id = (SELECT MAX(l.id) FROM reports l
             WHERE l.host_id = r.host_id AND l.update_id = r.update_id)",
        "CREATE INDEX hosts_by_name ON hosts (name, id)",
        "CREATE INDEX hosts_by_target ON hosts (target, channel, last_seen_at)",
    ],
    ..Migration::PLAIN
};
