//! What an update is called in the kernel, and whose place it takes there.

use crate::error::DiffError;

/// RESPLICE_ID_LEN: bytes of an id with its NUL.
pub(crate) const ID_LEN: usize = 64;
/// RESPLICE_MAX_SUPERSEDED.
pub(crate) const MAX_SUPERSEDED: usize = 256;

/// An update's name in the kernel, with the names of those that it supersedes:
/// when it is applied they are undone, in the same stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    id: String,
    supersedes: Vec<String>,
}

impl Identity {
    /// An update that supersedes nothing.
    ///
    /// # Errors
    /// [`DiffError::Id`], unless `id` is 1 to 63 of `a-z0-9_`.
    pub fn new(id: &str) -> Result<Self, DiffError> {
        Self::superseding(id, &[])
    }

    /// An update that takes the place of others, which are sorted.
    ///
    /// # Errors
    /// As [`Self::new`], for each of them; [`DiffError::Limit`] for more than 256,
    /// and [`DiffError::Id`] if it is to supersede itself.
    pub fn superseding(id: &str, others: &[String]) -> Result<Self, DiffError> {
        check(id)?;
        if others.len() > MAX_SUPERSEDED {
            return Err(DiffError::Limit {
                what: "superseded updates",
                count: others.len() as u64,
                limit: MAX_SUPERSEDED as u64,
            });
        }
        let mut supersedes = others.to_vec();
        supersedes.sort();
        supersedes.dedup();
        for other in &supersedes {
            check(other)?;
            if other == id {
                return Err(DiffError::Id(format!("{id} supersedes itself")));
            }
        }
        Ok(Self {
            id: id.to_owned(),
            supersedes,
        })
    }

    /// Its own name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose place it takes, sorted.
    #[must_use]
    pub fn supersedes(&self) -> &[String] {
        &self.supersedes
    }
}

fn check(id: &str) -> Result<(), DiffError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if id.is_empty() || id.len() >= ID_LEN || !id.bytes().all(allowed) {
        return Err(DiffError::Id(id.chars().take(80).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn superseded_updates_are_named_once_in_order() {
        let others = ["rsp_b", "rsp_a", "rsp_b"].map(str::to_owned);
        let identity = Identity::superseding("rsp_c", &others).unwrap();
        assert_eq!(identity.supersedes(), ["rsp_a", "rsp_b"]);
    }

    #[test]
    fn names_that_the_kernel_would_not_take_are_refused() {
        for bad in ["", "Rsp", "a/b", &"x".repeat(ID_LEN)] {
            assert!(Identity::new(bad).is_err(), "{bad:?}");
            assert!(Identity::superseding("rsp_c", &[bad.to_owned()]).is_err());
        }
        assert!(Identity::superseding("rsp_c", &["rsp_c".to_owned()]).is_err());
        let many: Vec<String> = (0..=MAX_SUPERSEDED).map(|n| format!("rsp_{n}")).collect();
        assert!(Identity::superseding("rsp_c", &many).is_err());
    }
}
