//! Signatures and thresholds.

use crate::{
    Error,
    key::Key,
    metadata::{File, Signers},
};
use std::collections::{BTreeMap, BTreeSet};

/// Checks that enough of a role's keys have signed a file called `name`. Each key
/// counts once, whatever ids it goes by (TAP 12).
///
/// # Errors
/// [`Error::Threshold`].
pub fn threshold<T>(
    name: &str,
    file: &File<T>,
    keys: &BTreeMap<String, Key>,
    signers: &Signers,
) -> Result<(), Error> {
    let mut signed_by = BTreeSet::new();
    for id in &signers.keyids {
        let (Some(key), Some(signature)) = (keys.get(id), file.signatures.get(id)) else {
            continue;
        };
        if key.verifies(&file.canonical, signature) {
            signed_by.insert(key.identity());
        }
    }
    let valid = signed_by.len();
    if valid >= usize::try_from(signers.threshold).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Error::Threshold {
        file: name.to_owned(),
        valid,
        threshold: signers.threshold,
    })
}
