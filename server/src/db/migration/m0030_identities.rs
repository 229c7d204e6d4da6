//! Whom an identity provider knows as which account, and sign-ins there that have begun.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    name: "0030_identities",
    statements: &[
        "CREATE TABLE identities (
            issuer TEXT NOT NULL,
            subject TEXT NOT NULL,
            user_name TEXT NOT NULL REFERENCES users (name),
            created_at BIGINT NOT NULL,
            PRIMARY KEY (issuer, subject)
        )",
        // Digests of what the browser holds. user_name is there if somebody who is
        // signed in wants the identity for the own account.
        "CREATE TABLE oidc_sign_ins (
            state TEXT PRIMARY KEY,
            browser TEXT NOT NULL,
            user_name TEXT,
            expires_at BIGINT NOT NULL
        )",
    ],
    ..Migration::PLAIN
};
