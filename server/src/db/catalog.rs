//! What tables there are, and what is in them, for what goes over all of them.

use super::{Error, row, rows, unreadable, unsigned};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Value};
use std::collections::BTreeSet;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number of 64 bits.
    Number,
    /// Bytes.
    Bytes,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// All tables, each behind those that its rows refer to: a table can only be made
/// when these are there.
#[must_use]
pub fn tables() -> Vec<&'static str> {
    super::migration::statements()
        .filter_map(|sql| sql.strip_prefix("CREATE TABLE ")?.split_whitespace().next())
        .collect()
}

/// Those tables that migrations have put rows into themselves.
#[must_use]
pub fn filled() -> Vec<&'static str> {
    super::migration::statements()
        .filter_map(|sql| sql.strip_prefix("INSERT INTO ")?.split_whitespace().next())
        .collect()
}

/// A table's columns, in order.
///
/// # Errors
/// The database's; one of a kind that is not known here.
pub async fn columns<C: ConnectionTrait>(db: &C, table: &str) -> Result<Vec<Column>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        name: String,
        kind: String,
    }
    let operation = "list a table's columns";
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind
             FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
        _ => "SELECT name, type AS kind FROM pragma_table_info($1) ORDER BY cid",
    };
    let found: Vec<Row> = rows(db, operation, sql, vec![table.into()]).await?;
    if found.is_empty() {
        return Err(unreadable(operation, format!("there is no table {table}")));
    }
    let column = |row: Row| {
        let kind = match row.kind.to_ascii_lowercase().as_str() {
            "text" => Kind::Text,
            "bigint" => Kind::Number,
            "bytea" => Kind::Bytes,
            other => {
                let reason = format!("{table}.{} is of the kind {other}", row.name);
                return Err(unreadable(operation, reason));
            }
        };
        Ok(Column {
            name: row.name,
            kind,
        })
    };
    found.into_iter().map(column).collect()
}

/// How many rows a table has.
///
/// # Errors
/// The database's.
pub async fn count<C: ConnectionTrait>(db: &C, table: &str) -> Result<u64, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        count: i64,
    }
    let sql = format!("SELECT COUNT(*) AS count FROM {table}");
    let found: Option<Row> = row(db, "count rows", &sql, Vec::new()).await?;
    Ok(found.map_or(0, |row| unsigned(row.count)))
}

/// The migrations that the database has been through, in order.
///
/// # Errors
/// The database's.
pub async fn migrations<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        version: String,
    }
    let sql = "SELECT version FROM seaql_migrations ORDER BY version";
    let found: Vec<Row> = rows(db, "look at the schema's version", sql, Vec::new()).await?;
    Ok(found.into_iter().map(|row| row.version).collect())
}

/// The columns that refer to files of the store: any of text whose name ends in
/// `sha256`, so that a new table needs to be mentioned nowhere.
///
/// # Errors
/// The database's.
pub async fn references<C: ConnectionTrait>(db: &C) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for table in tables() {
        let columns = columns(db, table).await?.into_iter();
        let refers = |column: &Column| column.kind == Kind::Text && column.name.ends_with("sha256");
        found.extend(
            columns
                .filter(refers)
                .map(|column| (table.to_owned(), column.name)),
        );
    }
    Ok(found)
}

/// Those of the digests that a row refers to in one of the columns.
///
/// # Errors
/// The database's.
pub async fn referenced<C: ConnectionTrait>(
    db: &C,
    columns: &[(String, String)],
    digests: &[String],
) -> Result<BTreeSet<String>, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        digest: String,
    }
    if digests.is_empty() {
        return Ok(BTreeSet::new());
    }
    let places: Vec<String> = (1..=digests.len()).map(|at| format!("${at}")).collect();
    let places = places.join(", ");
    let select = |(table, column): &(String, String)| {
        format!("SELECT {column} AS digest FROM {table} WHERE {column} IN ({places})")
    };
    let sql: Vec<String> = columns.iter().map(select).collect();
    let values: Vec<Value> = digests
        .iter()
        .map(|digest| digest.as_str().into())
        .collect();
    let found: Vec<Row> = rows(db, "look for references", &sql.join(" UNION "), values).await?;
    Ok(found.into_iter().map(|row| row.digest).collect())
}
