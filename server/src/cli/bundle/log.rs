//! What a bundle has of the transparency log: the releases' entries, the checkpoint,
//! and the hashes of all entries up to it.

use anyhow::{Context, ensure};
use resplice_api::{BundledEntry, UpdateId, client::Client};
use resplice_tlog::{Verifier, tile, tree::Frontier};
use tokio::runtime::Handle;

/// Most entries of a log that is put into a bundle; hosts read no more.
const MAX_ENTRIES: u64 = 1 << 20;

/// A server's log, as its clients see it.
pub(super) struct Source {
    client: Client,
    runtime: Handle,
    /// By name.
    files: Vec<(String, Vec<u8>)>,
}

impl Source {
    /// To be used where blocking is allowed.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            runtime: Handle::current(),
            files: Vec::new(),
        }
    }

    /// Takes up the entry of an update's release.
    pub fn note(&mut self, update: UpdateId) -> anyhow::Result<()> {
        let proof = self
            .runtime
            .block_on(self.client.release_proof(update, None))?;
        let proof = proof.with_context(|| {
            format!("the server's log has no release of {update}: no host would take it")
        })?;
        let entry = BundledEntry {
            index: proof.index,
            entry: proof.entry,
        };
        self.files
            .push((update.to_string(), serde_json::to_vec(&entry)?));
        Ok(())
    }

    /// The files, with a checkpoint that all entries noted so far are in.
    pub fn files(mut self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let runtime = self.runtime.clone();
        let (checkpoint, leaves) = runtime.block_on(self.leaves())?;
        self.files
            .push(("checkpoint".to_owned(), checkpoint.into_bytes()));
        self.files.push(("leaves".to_owned(), leaves));
        Ok(self.files)
    }

    async fn leaves(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let key: Verifier = self.client.log_key().await?.parse()?;
        let checkpoint = self.client.checkpoint().await?;
        let head = key.open(&checkpoint)?;
        ensure!(
            head.size <= MAX_ENTRIES,
            "the server's log has {} entries: at most {MAX_ENTRIES} go into a bundle",
            head.size
        );
        let mut leaves = Vec::new();
        for index in 0..head.size.div_ceil(tile::WIDTH) {
            let width = (head.size - index * tile::WIDTH).min(tile::WIDTH);
            let mut number = tile::number(index);
            if width < tile::WIDTH {
                number.push_str(&format!(".p/{width}"));
            }
            leaves.extend(self.client.log_tile(0, &number).await?);
        }
        let mut frontier = Frontier::default();
        leaves
            .as_chunks::<32>()
            .0
            .iter()
            .for_each(|hash| frontier.push(*hash));
        ensure!(
            frontier.size() == head.size && frontier.root() == head.root,
            "the server's log is not what its checkpoint says: see `resplice-server audit verify`"
        );
        Ok((checkpoint, leaves))
    }
}
