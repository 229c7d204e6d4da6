//! Enrolments that can't be replayed, and tokens that are good for so many uses.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0010_enrolment",
    statements: &[
        "ALTER TABLE hosts ADD COLUMN enrol_stamp BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE tokens ADD COLUMN uses_left BIGINT",
    ],
    ..Migration::PLAIN
};
