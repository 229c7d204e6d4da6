//! ed25519 keys and the files they live in: PKCS#8 PEM, readable by the owner only.

use crate::Error;
use ed25519_dalek::{
    Signature, Signer, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    str::FromStr,
};
use zeroize::Zeroizing;

/// Largest key file in bytes.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// A public ed25519 key. Its text form is 64 digits of lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Checks that `signature` is this key's over `message`, strictly: no small
    /// orders, no second encoding of a signature.
    ///
    /// # Errors
    /// [`Error::BadSignature`] if it is not.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Error> {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
            .map_err(|_| Error::BadSignature)
    }
}

impl PublicKey {
    /// Its 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Key {
            what: format!("{text:?}"),
            reason: reason.to_owned(),
        };
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(refused("hex digits must be lower-case"));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| refused("64 hex digits are needed"))?;
        let key =
            VerifyingKey::from_bytes(&bytes).map_err(|_| refused("not a point on the curve"))?;
        if key.is_weak() {
            return Err(refused("a key of small order"));
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A private ed25519 key; wiped from memory when dropped, never printed.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new key from the system's random generator.
    ///
    /// # Errors
    /// [`Error::Random`] if the system has no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| Error::Random {
            reason: error.to_string(),
        })?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed of 32 bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Makes a new key and stores it in a new file of mode 0600.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if the file exists (a key is never overwritten) or
    /// can't be written.
    pub fn generate_file(path: &Path) -> Result<Self, Error> {
        let failed = |operation| {
            move |cause| Error::KeyFile {
                operation,
                path: path.to_owned(),
                cause,
            }
        };
        let key = Self::generate()?;
        // Without the public half: that is version 1 of PKCS#8, which every tool reads.
        let secret_half = KeypairBytes {
            secret_key: key.0.to_bytes(),
            public_key: None,
        };
        let pem = secret_half
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| Error::Key {
                what: "the new key".to_owned(),
                reason: error.to_string(),
            })?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("create"))?;
        file.write_all(pem.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed("write"))?;
        Ok(key)
    }

    /// Loads a key file (PKCS#8 PEM, at most 4 KiB).
    ///
    /// # Errors
    /// [`Error::KeyMode`] if group or others have any permission on it,
    /// [`Error::KeyFile`] if it can't be read, [`Error::Key`] if it is no key.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |cause| Error::KeyFile {
            operation: "read",
            path: path.to_owned(),
            cause,
        };
        let file = File::open(path).map_err(failed)?;
        // Of the open file, so that nobody can swap it between check and use.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Error::KeyMode {
                path: path.to_owned(),
                mode,
            });
        }
        let mut pem = Zeroizing::new(String::with_capacity(MAX_KEY_FILE_BYTES as usize + 1));
        file.take(MAX_KEY_FILE_BYTES + 1)
            .read_to_string(&mut pem)
            .map_err(failed)?;
        if pem.len() as u64 > MAX_KEY_FILE_BYTES {
            return Err(failed(io::Error::other("it is longer than a key")));
        }
        SigningKey::from_pkcs8_pem(&pem)
            .map(Self)
            .map_err(|error| Error::Key {
                what: path.display().to_string(),
                reason: error.to_string(),
            })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message; deterministic (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_key_file_is_private_and_comes_back_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.key");
        let key = SecretKey::generate_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(SecretKey::load(&path).unwrap().public(), key.public());
    }

    #[test]
    fn a_key_file_is_of_pkcs8_version_1() {
        // RFC 8410, section 10.3: this very key, in this very form.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        fs::write(&path, pem).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let key = SecretKey::load(&path).unwrap();
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(key.public().to_string(), public);
        let made = dir.path().join("made");
        SecretKey::generate_file(&made).unwrap();
        assert_eq!(fs::read_to_string(&made).unwrap().len(), pem.len());
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.key");
        SecretKey::generate_file(&path).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(
            SecretKey::generate_file(&path),
            Err(Error::KeyFile { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.key");
        SecretKey::generate_file(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(SecretKey::load(&path), Err(Error::KeyMode { .. })),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            SecretKey::load(dir.path()),
            Err(Error::KeyMode { .. } | Error::KeyFile { .. })
        ));
        let path = dir.path().join("key");
        fs::write(&path, vec![b'a'; 5000]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(SecretKey::load(&path), Err(Error::KeyFile { .. })));
        fs::write(&path, "hello").unwrap();
        assert!(matches!(SecretKey::load(&path), Err(Error::Key { .. })));
    }

    #[test]
    fn public_keys_have_one_text_form_and_no_weak_points() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
        assert!(key.to_string().to_uppercase().parse::<PublicKey>().is_err());
        let identity = format!("01{}", "00".repeat(31));
        for bad in ["", "00", "zz", &"00".repeat(32), &identity] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let text = format!("{:?}", SecretKey::from_seed(&[7; 32]));
        assert!(!text.contains(&hex::encode([7; 32])));
    }
}
