//! Targets, and the digests of files.

use crate::{Error, metadata::TargetMeta, quote::quote_path};
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeMap;

/// A target that the repository vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its digests in hex, by algorithm.
    pub hashes: BTreeMap<String, String>,
    /// What the application says about it.
    pub custom: Option<serde_json::Value>,
}

impl Target {
    pub(crate) fn new(name: &str, meta: &TargetMeta) -> Self {
        Self {
            name: name.to_owned(),
            length: meta.length,
            hashes: meta.hashes.clone(),
            custom: meta.custom.clone(),
        }
    }

    /// Its sha256 in lower-case hex, if it has one.
    #[must_use]
    pub fn sha256(&self) -> Option<String> {
        self.hashes
            .get("sha256")
            .map(|hex| hex.to_ascii_lowercase())
    }

    /// Checks that `bytes` are the target's, to the last one (step 5.7.2).
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Digest`], or [`Error::Invalid`] if it has no
    /// digest that can be checked.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() as u64 != self.length {
            return Err(Error::Length {
                file: self.name.clone(),
                found: bytes.len() as u64,
                expected: self.length,
            });
        }
        check_hashes(&self.name, bytes, &self.hashes)
    }

    /// Where its file lies below the targets' address (step 5.7.3).
    pub(crate) fn path(&self, consistent: bool) -> Result<String, Error> {
        let known = |name| self.hashes.get(name).filter(|hex| is_hex(hex));
        let hash = known("sha256").or_else(|| known("sha512"));
        let Some(hash) = hash.filter(|_| consistent) else {
            return match consistent {
                true => Err(Error::invalid(
                    &self.name,
                    "it has neither a sha256 nor a sha512",
                )),
                false => Ok(quote_path(&self.name)),
            };
        };
        Ok(match self.name.rsplit_once('/') {
            Some((directory, file)) => quote_path(&format!("{directory}/{hash}.{file}")),
            None => quote_path(&format!("{hash}.{}", self.name)),
        })
    }
}

/// Checks that a name can't lead out of any directory.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let bad = |part: &str| matches!(part, "" | "." | "..");
    let unfit = |c: char| c == '\\' || c.is_control();
    if name.len() > 1024 || name.split('/').any(bad) || name.chars().any(unfit) {
        return Err(Error::Name {
            name: name.chars().take(200).collect(),
        });
    }
    Ok(())
}

/// Checks all digests that are known, of which there must be one.
pub(crate) fn check_hashes(
    name: &str,
    bytes: &[u8],
    hashes: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut checked = 0;
    let mut check = |algorithm: &'static str, found: &dyn Fn() -> Vec<u8>| {
        let Some(expected) = hashes.get(algorithm) else {
            return Ok(());
        };
        checked += 1;
        match hex::decode(expected) {
            Ok(expected) if expected == found() => Ok(()),
            _ => Err(Error::Digest {
                file: name.to_owned(),
                algorithm,
            }),
        }
    };
    check("sha256", &|| Sha256::digest(bytes).to_vec())?;
    check("sha512", &|| Sha512::digest(bytes).to_vec())?;
    match checked {
        0 => Err(Error::invalid(name, "it has neither a sha256 nor a sha512")),
        _ => Ok(()),
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "a/",
            "a\\b",
            "a\nb",
            ".",
            "..",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b.c", "...", "a b"] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
    }
}
