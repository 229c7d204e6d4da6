//! The schema. A change is a new migration, a file of its own; those that are there stay as they are.

mod m0001_first;
mod m0002_supersedes;
mod m0003_tokens;
mod m0004_accounts;
mod m0005_queue;
mod m0007_channels;
mod m0008_waves;
mod m0009_revocations;
mod m0010_enrolment;
mod m0011_transparency;
mod m0012_webhooks;
mod m0013_imports;
mod m0020_fleet;
mod m0021_provenance;
mod m0022_attempt_log;
mod m0030_identities;
mod m0031_idempotency;
mod m0032_listing;
mod m0033_rejections;
mod m0034_offers_version;
mod m0035_callers_version;
mod m0036_host_seen;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait,
};

/// All migrations, in order.
pub struct Migrator;

/// All of them, in order.
const ALL: &[Migration] = &[
    m0001_first::MIGRATION,
    m0002_supersedes::MIGRATION,
    m0003_tokens::MIGRATION,
    m0004_accounts::MIGRATION,
    m0005_queue::MIGRATION,
    m0007_channels::MIGRATION,
    m0008_waves::MIGRATION,
    m0009_revocations::MIGRATION,
    m0010_enrolment::MIGRATION,
    m0011_transparency::MIGRATION,
    m0012_webhooks::MIGRATION,
    m0013_imports::MIGRATION,
    m0020_fleet::MIGRATION,
    m0021_provenance::MIGRATION,
    m0022_attempt_log::MIGRATION,
    m0030_identities::MIGRATION,
    m0031_idempotency::MIGRATION,
    m0032_listing::MIGRATION,
    m0033_rejections::MIGRATION,
    m0034_offers_version::MIGRATION,
    m0035_callers_version::MIGRATION,
    m0036_host_seen::MIGRATION,
];

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        ALL.iter()
            .map(|migration| Box::new(*migration) as Box<dyn MigrationTrait>)
            .collect()
    }
}

/// What they do, statement by statement.
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let of = |migration: &'static Migration| migration.statements.iter().copied();
    ALL.iter().flat_map(of)
}

/// One change of the schema.
#[derive(Clone, Copy)]
struct Migration {
    /// Its number and what it is about; kept in the database.
    name: &'static str,
    /// Each is run by itself: several ALTERs in one do not work on SQLite.
    statements: &'static [&'static str],
    /// What follows on one of the databases alone: no tables, and no rows.
    sqlite: &'static [&'static str],
    postgres: &'static [&'static str],
}

impl Migration {
    /// One that is the same on both.
    const PLAIN: Self = Self {
        name: "",
        statements: &[],
        sqlite: &[],
        postgres: &[],
    };
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let own = match db.get_database_backend() {
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        };
        for statement in self.statements.iter().chain(own) {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
