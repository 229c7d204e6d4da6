//! What `make eval-match`, `make eval` and `make bench` measure.

pub mod attempt;
pub mod capacity;
pub mod corpus;
pub mod measure;
pub mod memory;
pub mod page;
pub mod pool;
pub mod process;
pub mod record;
pub mod share;
pub mod stages;
pub mod summary;
pub mod table;
pub mod units;
pub mod workshop;

use anyhow::{Context, Result};
use resplice_target::Cache;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where results go if nobody says where.
pub fn default_directory() -> PathBuf {
    Cache::from_env().root().join("eval")
}

/// Writes a result and makes its directory.
pub fn save(directory: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let path = directory.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

/// Writes a result as JSON.
pub fn save_json(directory: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).with_context(|| format!("write {name}"))?;
    text.push('\n');
    save(directory, name, &text)
}
