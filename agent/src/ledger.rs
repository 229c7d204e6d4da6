//! The server's transparency log: an update is applied only if its release stands
//! there, in a log that goes on from what this host has seen of it. Whoever holds
//! the server's keys can so not give one host what others, and auditors, never see.
//!
//! The newest checkpoint that this host has seen lies in `log.json`.

use crate::{
    agent::{Agent, Outcome},
    journal::By,
    poll,
    state::StateDir,
};
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use resplice_api::{LogEntry, PlannedUpdate, ReleaseProof, UpdateId};
use resplice_tlog::{Checkpoint, Hash, Verifier, tree};

/// The code of an update that the log does not let in.
pub const UNPROVEN: &str = "log";
const FILE: &str = "log.json";
/// Most hashes of a proof: a log of 2^64 entries has no longer one.
const MAX_PROOF: usize = 130;

/// Begins to trust a log; what was known of another is gone.
///
/// # Errors
/// If the key can't be used, or the file not be removed.
pub fn begin(state: &StateDir, key: &str) -> Result<()> {
    let _: Verifier = key
        .parse()
        .context("the key of the server's log can't be used")?;
    state.remove(FILE).map(drop)
}

/// Where a log's proofs come from.
pub trait Log {
    /// That an update's release is in the log, and that the log has only grown since
    /// it had `since` entries; none if it has no such release.
    ///
    /// # Errors
    /// If it can't be asked.
    fn release_proof(&self, update: UpdateId, since: Option<u64>) -> Result<Option<ReleaseProof>>;
}

/// Has the log prove an update's release. An outcome says why it must not be applied:
/// the log can't be asked, or what it says is refused, noted and reported.
///
/// # Errors
/// If the journal can't be written.
pub fn object(
    agent: &mut Agent,
    log: &impl Log,
    planned: &PlannedUpdate,
    by: By,
) -> Result<Option<Outcome>> {
    match check(agent, log, planned) {
        Ok(()) => Ok(None),
        Err(Objection::Unreachable(error)) => Ok(Some(poll::not_had(planned, UNPROVEN, &error))),
        Err(Objection::Refused(why)) => {
            let update = planned.update_id.to_string();
            agent.refuse(&update, UNPROVEN, why, by).map(Some)
        }
    }
}

/// Why the log does not let an update in.
#[derive(Debug)]
enum Objection {
    /// It could not be asked; later it may say something else.
    Unreachable(anyhow::Error),
    /// It does not have the release, or is not what it was.
    Refused(String),
}

/// Has the log prove that it has the update's release, with the package that is
/// planned, and remembers how far the log has got.
///
/// # Errors
/// The [`Objection`].
fn check(agent: &Agent, log: &impl Log, planned: &PlannedUpdate) -> Result<(), Objection> {
    let key = agent.enrolment.log_key.as_deref();
    let known = Known::read(&agent.state, key).map_err(Objection::Unreachable)?;
    let since = known.newest.as_ref().map(|newest| newest.size);
    let proof = log
        .release_proof(planned.update_id, since)
        .map_err(Objection::Unreachable)?;
    let Some(proof) = proof else {
        return Err(Objection::Refused(format!(
            "the server's log has no release of {}",
            planned.update_id
        )));
    };
    let newest = known
        .accept(&proof, planned)
        .map_err(|why| Objection::Refused(format!("{}: {why}", planned.update_id)))?;
    if since.is_none_or(|size| newest.size > size) {
        let write = agent.state.write_json(FILE, &proof.checkpoint);
        write.map_err(Objection::Unreachable)?;
    }
    Ok(())
}

/// What is known of the log.
pub(crate) struct Known {
    key: Verifier,
    newest: Option<Checkpoint>,
}

impl Known {
    pub(crate) fn read(state: &StateDir, key: Option<&str>) -> Result<Self> {
        let key: Verifier = key
            .context(
                "this host does not know its server's log: enrol again (`resplice enroll --force`, with --log-key for bundles)",
            )?
            .parse()
            .context("the log's key in host.json can't be used: enrol again")?;
        let note = state.read_json::<String>(FILE)?;
        let newest = note.map(|note| key.open(&note)).transpose();
        let newest = newest.with_context(|| {
            format!("{FILE} is damaged: what this host knew of the server's log can't be told; enrol again to begin anew")
        })?;
        Ok(Self { key, newest })
    }

    /// The checkpoint that a proof leads to, if all of it holds.
    fn accept(&self, proof: &ReleaseProof, planned: &PlannedUpdate) -> Result<Checkpoint, String> {
        let seen = self.key.open(&proof.checkpoint).map_err(words)?;
        let entry = proof.entry.as_bytes();
        let way = hashes(&proof.proof)?;
        tree::verify_inclusion(
            &tree::leaf_hash(entry),
            proof.index,
            &way,
            seen.size,
            &seen.root,
        )
        .map_err(words)?;
        is_release_of(&proof.entry, planned)?;
        if let Some(before) = &self.newest {
            goes_on(before, &seen, &hashes(&proof.consistency)?)?;
        }
        Ok(seen)
    }
}

/// That the log begins with what was seen of it before.
fn goes_on(before: &Checkpoint, seen: &Checkpoint, proof: &[Hash]) -> Result<(), String> {
    if seen.size < before.size {
        return Err(format!(
            "the server's log was cut: it had {} entries, now it has {}",
            before.size, seen.size
        ));
    }
    tree::verify_consistency((before.size, &before.root), (seen.size, &seen.root), proof)
        .map_err(|_| "the server's log is not the one that this host has seen before".to_owned())
}

fn is_release_of(entry: &str, planned: &PlannedUpdate) -> Result<(), String> {
    let entry: LogEntry = serde_json::from_str(entry)
        .map_err(|error| format!("the log's entry can't be read: {error}"))?;
    let LogEntry::Release {
        update, packages, ..
    } = entry
    else {
        return Err("the log's entry is not of a release".to_owned());
    };
    let logged = packages.iter().any(|package| {
        package.target == planned.target
            && package.sha256.eq_ignore_ascii_case(&planned.package_sha256)
    });
    match update == planned.update_id && logged {
        true => Ok(()),
        false => Err("the log's entry is of another release".to_owned()),
    }
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>, String> {
    if texts.len() > MAX_PROOF {
        return Err(format!("a proof has more than {MAX_PROOF} hashes"));
    }
    let hash = |text: &String| {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        bytes.try_into().ok()
    };
    let all: Option<Vec<Hash>> = texts.iter().map(hash).collect();
    all.ok_or_else(|| "a hash of a proof can't be read".to_owned())
}

fn words(error: resplice_tlog::Error) -> String {
    error.to_string()
}

#[cfg(test)]
#[path = "ledger_test.rs"]
mod tests;
