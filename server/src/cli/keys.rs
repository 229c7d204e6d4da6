//! `resplice-server keys …`: works on files, without a server; on the server's
//! machine, or on another one that has a copy of its data directory's `repo`.

use super::{
    output::{bold, dim, say},
    place::default_data,
};
use crate::repository::{Ceremony, KeyRing, ROLES, Renewal, Repository, RepositoryError, RoleName};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use resplice_tuf::metadata::{Root, Signers};
use std::{path::PathBuf, process::ExitCode};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make the repository and all of its keys, before the server's first start
    Init {
        #[command(flatten)]
        place: Place,
    },
    /// Exchange the keys of a role; takes two of the root's three keys
    Rotate {
        /// The role
        role: RoleName,
        #[command(flatten)]
        place: Place,
    },
    /// Sign releases that wait for the targets key
    Sign {
        /// Renew the root's expiry instead; takes two of its three keys
        #[arg(long)]
        root: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show roles, keys and expiries
    Show {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub(super) struct Place {
    /// The server's data directory
    #[arg(long, env = "RESPLICE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Directory of the root's and the targets' keys, such as a stick that lies in
    /// a safe [default: the server's own]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

impl Place {
    fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_data)
    }

    fn ceremony(&self) -> Ceremony {
        let ceremony = Ceremony::all_online(&self.data());
        match &self.keys {
            Some(offline) => Ceremony {
                offline: offline.clone(),
                ..ceremony
            },
            None => ceremony,
        }
    }

    fn repository(&self) -> Result<Repository, RepositoryError> {
        let data = self.data();
        Repository::open(&data)?.ok_or_else(|| RepositoryError::None(data.join("repo")))
    }
}

impl Keys {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Init { place } => init(&place)?,
            Self::Rotate { role, place } => {
                let repository = place.repository()?;
                let renewal = Renewal::Keys(role);
                let version = place
                    .ceremony()
                    .renew(&repository, renewal, Timestamp::now())?;
                say!("root {version}: new keys for {}", role.as_str());
                say!(
                    "{}",
                    dim("destroy the old ones; the server signs anew within seconds")
                );
            }
            Self::Sign { root: true, place } => {
                let repository = place.repository()?;
                let ceremony = place.ceremony();
                let version = ceremony.renew(&repository, Renewal::Expiry, Timestamp::now())?;
                say!(
                    "root {version}: good until {}",
                    repository.root_file()?.signed.expires
                );
            }
            Self::Sign { root: false, place } => {
                let repository = place.repository()?;
                let ring = place.ceremony().ring()?;
                let targets = repository.sign_waiting(&ring)?;
                say!(
                    "signed targets {}, {} packages:",
                    targets.version,
                    targets.targets.len()
                );
                for (name, meta) in &targets.targets {
                    let digest = meta.hashes.get("sha256").map_or("", String::as_str);
                    let terms = meta.custom.as_ref().map(ToString::to_string);
                    say!("  {name}  {}  {}", terms.unwrap_or_default(), dim(digest));
                }
            }
            Self::Show { place } => show(&place)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn init(place: &Place) -> anyhow::Result<()> {
    let data = place.data();
    crate::app::create_private_directory(&data)?;
    let ceremony = place.ceremony();
    ceremony.init(&data, Timestamp::now())?;
    say!("made a repository in {}", bold(data.join("repo").display()));
    say!(
        "  snapshot and timestamp keys: {}",
        ceremony.online.display()
    );
    say!(
        "  root and targets keys:       {}",
        ceremony.offline.display()
    );
    if ceremony.offline == ceremony.online {
        say!(
            "all keys are on this server: whoever takes it can sign software; --keys DIR keeps them away"
        );
    } else {
        say!(
            "take {} away, with two copies of it; `keys sign` needs it for each release",
            ceremony.offline.display()
        );
    }
    Ok(())
}

fn show(place: &Place) -> anyhow::Result<()> {
    let repository = place.repository()?;
    let ring = place.ceremony().ring()?;
    let root = repository.root_file()?.signed;
    say!("root {}  good until {}", root.version, root.expires);
    for role in ROLES {
        let signers = signers(&root, role);
        say!(
            "{} {} of {}",
            bold(format!("{:<9}", role.as_str())),
            signers.threshold,
            signers.keyids.len()
        );
        for id in &signers.keyids {
            say!("  {id}  {}", dim(place_of(&ring, id)));
        }
    }
    match repository.waiting()? {
        Some((_, targets)) => say!("{} packages wait for `keys sign`", targets.targets.len()),
        None => say!("nothing waits for a signature"),
    }
    Ok(())
}

fn place_of(ring: &KeyRing, id: &str) -> &'static str {
    if ring.has(id) { "here" } else { "elsewhere" }
}

fn signers(root: &Root, role: RoleName) -> &Signers {
    match role {
        RoleName::Root => &root.roles.root,
        RoleName::Targets => &root.roles.targets,
        RoleName::Snapshot => &root.roles.snapshot,
        RoleName::Timestamp => &root.roles.timestamp,
    }
}
