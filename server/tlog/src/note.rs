//! Checkpoints (C2SP tlog-checkpoint) as signed notes (C2SP signed-note) with
//! ed25519.

use crate::{Error, Hash};
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;

/// Type of an ed25519 key in signed notes.
const ED25519: u8 = 1;
/// Largest checkpoint that is read, in bytes.
pub const MAX_CHECKPOINT_BYTES: usize = 16 << 10;

fn malformed(what: &'static str, reason: impl fmt::Display) -> Error {
    Error::Malformed {
        what,
        reason: reason.to_string(),
    }
}

/// What a log says of itself: so many entries, with that root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    fn body(&self) -> String {
        let root = BASE64_STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    fn parse(body: &str) -> Result<Self, Error> {
        let bad = |reason: &str| malformed("checkpoint", reason);
        let mut lines = body.lines();
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let origin = line().ok_or_else(|| bad("it has no origin"))?.to_owned();
        let size = line().ok_or_else(|| bad("it has no size"))?;
        let root = line().ok_or_else(|| bad("it has no root"))?;
        let number: u64 = size.parse().map_err(|_| bad("its size is no number"))?;
        if number.to_string() != size {
            return Err(bad("its size is not written as it must be"));
        }
        let root = BASE64_STANDARD.decode(root).ok();
        let root = root.and_then(|root| Hash::try_from(root).ok());
        Ok(Self {
            origin,
            size: number,
            root: root.ok_or_else(|| bad("its root is no hash"))?,
        })
    }
}

/// Who signs checkpoints, as others know it: `NAME+ID+KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

impl Verifier {
    /// The key's name, which is the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([b'\n', ED25519]);
        hash.update(self.key.as_bytes());
        let hash: Hash = hash.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads a checkpoint and checks that this key signed it, for the log of its name.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Signature`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, Error> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(malformed("checkpoint", "it is too long"));
        }
        let (body, signatures) = note
            .rsplit_once("\n\n")
            .ok_or_else(|| malformed("checkpoint", "it has no signatures"))?;
        let body = format!("{body}\n");
        let refused = || Error::Signature(self.to_string());
        let prefix = format!("— {} ", self.name);
        let signed = signatures
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .filter_map(|text| BASE64_STANDARD.decode(text).ok())
            .any(|bytes| {
                bytes
                    .strip_prefix(&self.id())
                    .and_then(|rest| Signature::from_slice(rest).ok())
                    .is_some_and(|signature| {
                        self.key.verify_strict(body.as_bytes(), &signature).is_ok()
                    })
            });
        if !signed {
            return Err(refused());
        }
        let checkpoint = Checkpoint::parse(&body)?;
        if checkpoint.origin != self.name {
            return Err(malformed("checkpoint", "it is of another log"));
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        let (id, key) = (hex::encode(self.id()), BASE64_STANDARD.encode(key));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl std::str::FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |reason: &str| malformed("verifier key", reason);
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let name = part().ok_or_else(|| bad("it has no name"))?.to_owned();
        let id = part().ok_or_else(|| bad("it has no id"))?;
        let key = part().ok_or_else(|| bad("it has no key"))?;
        let key = BASE64_STANDARD
            .decode(key)
            .map_err(|_| bad("its key is no base64"))?;
        let key = key
            .strip_prefix(&[ED25519])
            .ok_or_else(|| bad("its key is not ed25519"))?;
        let key = <[u8; 32]>::try_from(key).map_err(|_| bad("its key has another length"))?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| bad("its key is none"))?;
        let verifier = Self { name, key };
        if hex::encode(verifier.id()) != id {
            return Err(bad("its id is another key's"));
        }
        Ok(verifier)
    }
}

/// Signs checkpoints. `Debug` hides the key.
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier())
    }
}

impl Signer {
    /// A signer for the log `name`, which has no blanks and no `+`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another name.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '+') {
            return Err(malformed("log's name", "it is empty, or has blanks or `+`"));
        }
        Ok(Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(seed),
        })
    }

    /// How others know it.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs that the log has `size` entries and that root.
    #[must_use]
    pub fn sign(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint {
            origin: self.name.clone(),
            size,
            root,
        };
        let body = checkpoint.body();
        let signature = self.key.sign(body.as_bytes()).to_bytes();
        let signature = [self.verifier().id().as_slice(), &signature].concat();
        let signature = BASE64_STANDARD.encode(signature);
        format!("{body}\n— {} {signature}\n", self.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn signer(seed: u8) -> Signer {
        Signer::new("log.example/audit", &[seed; 32]).unwrap()
    }

    #[test]
    fn the_verifier_key_of_the_specification_is_read_and_written() {
        // The example of C2SP signed-note.
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let verifier: Verifier = text.parse().unwrap();
        assert_eq!(verifier.name(), "PeterNeumann");
        assert_eq!(verifier.to_string(), text);
        assert!(
            text.replace("c74f20a3", "c74f20a4")
                .parse::<Verifier>()
                .is_err()
        );
    }

    #[test]
    fn a_checkpoint_is_what_was_signed_and_nothing_else() {
        let signer = signer(1);
        let verifier: Verifier = signer.verifier().to_string().parse().unwrap();
        let note = signer.sign(7, [9; 32]);
        let checkpoint = verifier.open(&note).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (7, [9; 32]));
        assert!(verifier.open(&note.replace("\n7\n", "\n8\n")).is_err());
        assert!(verifier.open(note.split("\n\n").next().unwrap()).is_err());
        assert!(verifier.open("").is_err());
        let other = signer_of_another_key().verifier();
        assert!(matches!(other.open(&note), Err(Error::Signature(_))));
        // Another one's signature beside ours does no harm.
        let both = format!(
            "{note}— other.example {}\n",
            BASE64_STANDARD.encode([0; 68])
        );
        assert_eq!(verifier.open(&both).unwrap(), checkpoint);
    }

    fn signer_of_another_key() -> Signer {
        signer(2)
    }
}
