//! `resplice-server collect`.

use super::{
    output::{bold, dim, say},
    place::ServerPlace,
};
use crate::{
    collect::{LEAST_AGE, collect},
    db::{self, Place},
    store::Store,
};
use anyhow::ensure;
use clap::Args;
use std::{process::ExitCode, time::Duration};

#[derive(Args)]
pub(super) struct Collect {
    #[command(flatten)]
    place: ServerPlace,
    /// Take them away; without it they are only listed
    #[arg(long)]
    remove: bool,
    /// Leave alone what was stored within so many hours
    #[arg(long, default_value_t = 24, value_name = "N")]
    hours: u64,
}

impl Collect {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.place.data()?;
        let age = Duration::from_secs(self.hours.saturating_mul(3600));
        ensure!(
            age >= LEAST_AGE,
            "--hours is {}: what an upload has stored gets its row later, so it must be 1 at least",
            self.hours
        );
        let file = data.join("resplice.db");
        let place = self.place.database()?.unwrap_or(Place::Sqlite(file));
        let db = db::open_as_it_is(&place).await?;
        let store = Store::open(&self.place.store()?, &data)?;
        let waste = collect(&db, &store, age, self.remove).await?;
        let bytes: u64 = waste.iter().map(|file| file.bytes).sum();
        for file in &waste {
            say!("{:>12}  {}", file.bytes, file.place);
        }
        let word = if self.remove {
            "removed"
        } else {
            "could be removed (--remove)"
        };
        say!(
            "{} {word} {}",
            bold(waste.len()),
            dim(format!("({bytes} bytes)"))
        );
        Ok(ExitCode::SUCCESS)
    }
}
