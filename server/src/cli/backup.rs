//! `resplice-server backup` and `restore`.

use super::{
    output::{bold, dim, say},
    place::ServerPlace,
};
use crate::{
    backup::{self, End},
    db::Place,
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

#[derive(Args)]
pub(super) struct Backup {
    /// The file to write; it holds keys and tokens, and must not exist
    file: PathBuf,
    #[command(flatten)]
    place: ServerPlace,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (data, home) = (self.place.data()?, self.place.store()?);
        let end = backup::backup(&database(&self.place)?, &home, &data, &self.file).await?;
        say!("{} {}", bold(self.file.display()), dim(amount(&end)));
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    place: ServerPlace,
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (data, home) = (self.place.data()?, self.place.store()?);
        let (head, end) =
            backup::restore(&self.file, &database(&self.place)?, &home, &data).await?;
        say!(
            "as of {} in {} {}",
            head.made_at,
            bold(data.display()),
            dim(amount(&end))
        );
        say!("see that it is whole: `resplice-server audit verify`; then start the server on it");
        Ok(ExitCode::SUCCESS)
    }
}

fn database(place: &ServerPlace) -> anyhow::Result<Place> {
    let file = place.data()?.join("resplice.db");
    Ok(place.database()?.unwrap_or(Place::Sqlite(file)))
}

fn amount(end: &End) -> String {
    let rows: u64 = end.rows.values().sum();
    format!("({rows} rows, {} files)", end.files)
}
