//! Whether a job comes from the server that this worker builds for.

use jiff::{SignedDuration, Timestamp};
use resplice_api::Lease;
use resplice_package::PublicKey;
use sha2::{Digest, Sha256};

/// How far the two clocks may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// Why a job is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no signature.
    #[error("the job is not signed: the server is older than this worker")]
    Unsigned,
    /// The signature is not the server's over this job for this worker.
    #[error(
        "the job's signature is not that of the server's key (--server-key): another server, or somebody in between, has made or changed it"
    )]
    Forged,
    /// The patch is not the one that the digest names.
    #[error("the job's patch is not the one that its digest names")]
    Patch,
    /// The lease has run out, or begins later.
    #[error(
        "the job was given out at {0}, and its lease does not hold now: an old one, or the clocks differ"
    )]
    Time(Timestamp),
}

/// Makes sure that the server has given this very job to this worker, just now.
///
/// # Errors
/// [`Refused`].
pub fn verify(lease: &Lease, worker: &str, key: &PublicKey, now: Timestamp) -> Result<(), Refused> {
    if lease.signature.is_empty() {
        return Err(Refused::Unsigned);
    }
    let mut signature = [0; 64];
    hex::decode_to_slice(&lease.signature, &mut signature).map_err(|_| Refused::Forged)?;
    key.verify(lease.signed(worker).as_bytes(), &signature)
        .map_err(|_| Refused::Forged)?;
    if hex::encode(Sha256::digest(&lease.update.patch)) != lease.update.patch_sha256 {
        return Err(Refused::Patch);
    }
    let seconds = i64::try_from(lease.lease_seconds).unwrap_or(i64::MAX);
    let age = now.duration_since(lease.issued_at);
    let longest = SignedDuration::from_secs(seconds).saturating_add(SKEW);
    if age > longest || age < -SKEW {
        return Err(Refused::Time(lease.issued_at));
    }
    Ok(())
}
