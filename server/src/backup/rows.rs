//! Rows of any table as lines of JSON, and back.

use crate::db::{self, Column, Kind};
use anyhow::{Context, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::TryStreamExt;
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Statement, StreamTrait, Value};
use serde_json::Value as Json;
use std::io::{BufRead, BufWriter, Write};

/// Most rows of one INSERT, and about how many bytes.
const BATCH_ROWS: usize = 100;
const BATCH_BYTES: usize = 4 << 20;

/// Writes a table, and returns how many rows it has.
pub(super) async fn write(
    snapshot: &DatabaseTransaction,
    table: &str,
    output: impl Write,
) -> anyhow::Result<u64> {
    let columns = db::columns(snapshot, table).await?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut output = BufWriter::new(output);
    line(&mut output, &names)?;
    let sql = format!("SELECT {} FROM {table}", names.join(", "));
    let backend = ConnectionTrait::get_database_backend(snapshot);
    let statement = Statement::from_string(backend, sql);
    let mut rows = snapshot.stream_raw(statement).await?;
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let cells = columns.iter().enumerate();
        let cells: Result<Vec<Json>, _> =
            cells.map(|(at, column)| cell(&row, at, column)).collect();
        line(&mut output, &cells?)?;
        count += 1;
    }
    output.flush()?;
    Ok(count)
}

fn line(output: &mut impl Write, value: &impl serde::Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    Ok(output.write_all(b"\n")?)
}

fn cell(row: &QueryResult, at: usize, column: &Column) -> anyhow::Result<Json> {
    let value = match column.kind {
        Kind::Text => row.try_get_by_index::<Option<String>>(at)?.map(Json::from),
        Kind::Number => row.try_get_by_index::<Option<i64>>(at)?.map(Json::from),
        Kind::Bytes => {
            let bytes = row.try_get_by_index::<Option<Vec<u8>>>(at)?;
            bytes.map(|bytes| Json::from(BASE64_STANDARD.encode(bytes)))
        }
    };
    Ok(value.unwrap_or(Json::Null))
}

/// Puts a table's lines into a database where it is empty; how many rows there were.
pub(super) async fn read(
    db: &DatabaseTransaction,
    table: &str,
    input: impl BufRead,
) -> anyhow::Result<u64> {
    let columns = db::columns(db, table).await?;
    let mut lines = input.lines();
    let first = lines.next().context("it is empty")??;
    let names: Vec<String> = serde_json::from_str(&first)?;
    ensure!(
        names.iter().eq(columns.iter().map(|column| &column.name)),
        "its columns are {}, and others here",
        names.join(", ")
    );
    let mut count = 0;
    let mut batch = Batch::new(table, &names);
    for line in lines {
        let line = line?;
        let cells: Vec<Json> = serde_json::from_str(&line)?;
        ensure!(
            cells.len() == columns.len(),
            "a row has {} columns",
            cells.len()
        );
        for (json, column) in cells.into_iter().zip(&columns) {
            batch.values.push(value(json, column)?);
        }
        batch.bytes += line.len();
        count += 1;
        if batch.is_full() {
            batch.insert(db).await?;
        }
    }
    batch.insert(db).await?;
    Ok(count)
}

fn value(json: Json, column: &Column) -> anyhow::Result<Value> {
    Ok(match (column.kind, json) {
        (Kind::Text, Json::Null) => Value::String(None),
        (Kind::Number, Json::Null) => Value::BigInt(None),
        (Kind::Bytes, Json::Null) => Value::Bytes(None),
        (Kind::Text, Json::String(text)) => text.into(),
        (Kind::Number, Json::Number(number)) => {
            let number = number.as_i64();
            number
                .with_context(|| format!("a {} is too large", column.name))?
                .into()
        }
        (Kind::Bytes, Json::String(text)) => BASE64_STANDARD.decode(text)?.into(),
        (_, other) => bail!("{} can't be {other}", column.name),
    })
}

/// Rows that go in together.
struct Batch<'a> {
    table: &'a str,
    names: &'a [String],
    values: Vec<Value>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(table: &'a str, names: &'a [String]) -> Self {
        Self {
            table,
            names,
            values: Vec::new(),
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.values.len() >= BATCH_ROWS * self.names.len() || self.bytes >= BATCH_BYTES
    }

    async fn insert(&mut self, db: &DatabaseTransaction) -> anyhow::Result<()> {
        let values = std::mem::take(&mut self.values);
        self.bytes = 0;
        if values.is_empty() {
            return Ok(());
        }
        let width = self.names.len();
        let row = |row: usize| {
            let places: Vec<String> = (1..=width)
                .map(|at| format!("${}", row * width + at))
                .collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..values.len() / width).map(row).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            self.names.join(", "),
            rows.join(", ")
        );
        let backend = ConnectionTrait::get_database_backend(db);
        let statement = Statement::from_sql_and_values(backend, sql, values);
        db.execute_raw(statement).await?;
        Ok(())
    }
}
