//! `resplice-server bundle`: a server's repository in a file, for hosts without a
//! network.

mod log;

use super::{Connection, output::say};
use anyhow::{Context, ensure};
use clap::Args;
use resplice_api::{MAX_BUNDLE_FILES, REPOSITORY_PATH, UpdateId, package_target};
use resplice_tuf::{Client, Fetch, FetchError, MAX_ROOT_BYTES, Store, client, http::Http};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tar::{Builder, Header};

/// Write what a server has released for a kernel into one file
///
/// The file holds the repository's metadata as it is signed, the packages, and the
/// releases' place in the log. A host without a network takes it with
/// `resplice apply FILE`, once it has begun with the root and the log's key:
/// `resplice enroll --root FILE --log-key KEY --worker-key HEX`. It is good for as long as the
/// repository's timestamp (two days), since a host has no other way to tell that it
/// is not shown an old one.
#[derive(Args)]
pub(super) struct Bundle {
    #[command(flatten)]
    connection: Connection,
    /// Id of the kernel target, such as debian:6.1.0-50-cloud-amd64
    #[arg(long, value_name = "ID")]
    target: String,
    /// Trust this root, not the first one that the server sends; the hosts have their
    /// own in any case
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The bundle
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

impl Bundle {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let log = log::Source::new(self.connection.client()?);
        // The repository's client has a runtime of its own.
        let count = tokio::task::spawn_blocking(move || {
            let count = self.write(log)?;
            anyhow::Ok((count, self.output))
        });
        let (count, output) = count.await??;
        let s = if count == 1 { "" } else { "s" };
        say!("{}: {count} update{s}", output.display());
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, log: log::Source) -> anyhow::Result<usize> {
        let server = self.connection.server.trim_end_matches('/');
        let base = format!("{server}{REPOSITORY_PATH}");
        let mut http = Http::new(&format!("{base}/metadata/"), &format!("{base}/targets/"))?;
        let first = http
            .metadata("1.root.json", MAX_ROOT_BYTES)
            .with_context(|| format!("can't fetch the first root of {base}"))?;
        let trusted = match &self.root {
            Some(path) => {
                fs::read(path).with_context(|| format!("can't read {}", path.display()))?
            }
            None => first.clone(),
        };
        let kept = tempfile::tempdir().context("can't make a directory to work in")?;
        let store = Store::open(kept.path())?;
        client::begin(&store, &trusted)?;
        let mut recorder = Recorder {
            inner: http,
            metadata: BTreeMap::from([("1.root.json".to_owned(), first)]),
            path: String::new(),
        };
        // A host may have any root from the first on.
        recorder.roots()?;
        let new = self.output.with_extension("part");
        let count = self.fill(Client::new(store, recorder), log, &new);
        if count.is_err() {
            let _ = fs::remove_file(&new);
        }
        let count = count?;
        fs::rename(&new, &self.output)
            .with_context(|| format!("can't write {}", self.output.display()))?;
        Ok(count)
    }

    fn fill(
        &self,
        mut client: Client<Recorder>,
        mut log: log::Source,
        path: &Path,
    ) -> anyhow::Result<usize> {
        let trusted = client.refresh()?;
        let failed = || format!("can't write {}", path.display());
        let mut tar = Builder::new(File::create(path).with_context(failed)?);
        for (name, bytes) in &client.fetch().metadata {
            add(&mut tar, &format!("metadata/{name}"), bytes).with_context(failed)?;
        }
        let mut count = 0;
        for name in trusted.targets.targets.keys() {
            let update: Option<UpdateId> = name.split_once('.').and_then(|(id, _)| id.parse().ok());
            let update = update.filter(|update| package_target(*update, &self.target) == *name);
            let (Some(update), Some(target)) = (update, trusted.target(name)) else {
                continue;
            };
            log.note(update)?;
            let bytes = client.download(&trusted, &target)?;
            let place = format!("targets/{}", client.fetch().path);
            add(&mut tar, &place, &bytes).with_context(failed)?;
            count += 1;
        }
        ensure!(
            count > 0,
            "the server has released nothing for {}: see `resplice-server target list`",
            self.target
        );
        let log = log.files()?;
        let files = client.fetch().metadata.len() + count + log.len();
        ensure!(
            files <= MAX_BUNDLE_FILES,
            "{count} updates for {} make a bundle of {files} files, and hosts take \
             {MAX_BUNDLE_FILES} at most: let one update supersede several",
            self.target
        );
        for (name, bytes) in log {
            add(&mut tar, &format!("log/{name}"), &bytes).with_context(failed)?;
        }
        tar.into_inner()
            .and_then(|file| file.sync_all())
            .with_context(failed)?;
        Ok(count)
    }
}

/// Fetches over the network, and keeps the metadata that came.
struct Recorder {
    inner: Http,
    metadata: BTreeMap<String, Vec<u8>>,
    /// Of the last target.
    path: String,
}

impl Recorder {
    fn roots(&mut self) -> anyhow::Result<()> {
        for version in 2..=resplice_tuf::MAX_ROOT_ROTATIONS {
            match self.metadata(&format!("{version}.root.json"), MAX_ROOT_BYTES) {
                Ok(_) => {}
                Err(FetchError::Missing) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Fetch for Recorder {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let bytes = self.inner.metadata(name, limit)?;
        self.metadata.insert(name.to_owned(), bytes.clone());
        Ok(bytes)
    }

    fn target(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        path.clone_into(&mut self.path);
        self.inner.target(path, limit)
    }
}

fn add(tar: &mut Builder<File>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes)
}
