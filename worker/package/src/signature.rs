//! The signature member: who vouches for a manifest.

use crate::{Error, PublicKey, SecretKey};
use serde::{Deserialize, Serialize};

/// Keeps a package signature from being taken for any other kind of signature.
const CONTEXT: &[u8] = b"resplice-package-v1\0";
/// Largest signature member in bytes; a real one has 223.
const MAX_SIGNATURE_BYTES: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    key: String,
    signature: String,
}

/// The signature member's bytes for a manifest.
pub(crate) fn sign(manifest: &[u8], key: &SecretKey) -> Result<Vec<u8>, Error> {
    let file = SignatureFile {
        key: key.public().to_string(),
        signature: hex::encode(key.sign(&message(manifest))),
    };
    serde_json::to_vec(&file).map_err(|error| unreadable(error.to_string()))
}

/// Checks the signature member against a manifest and gives the key that signed,
/// which is one of `trusted`.
pub(crate) fn verify(
    manifest: &[u8],
    signature: &[u8],
    trusted: &[PublicKey],
) -> Result<PublicKey, Error> {
    if signature.len() > MAX_SIGNATURE_BYTES {
        return Err(unreadable("it is too long".to_owned()));
    }
    let file: SignatureFile =
        serde_json::from_slice(signature).map_err(|error| unreadable(error.to_string()))?;
    if serde_json::to_vec(&file).ok().as_deref() != Some(signature) {
        return Err(unreadable("its JSON is not in canonical form".to_owned()));
    }
    let key = trusted
        .iter()
        .find(|key| key.to_string() == file.key)
        .ok_or_else(|| Error::UnknownKey {
            key: shorten(&file.key),
        })?;
    let mut bytes = [0; 64];
    hex::decode_to_slice(&file.signature, &mut bytes)
        .map_err(|_| unreadable("the signature is not 128 hex digits".to_owned()))?;
    if hex::encode(bytes) != file.signature {
        return Err(unreadable("hex digits must be lower-case".to_owned()));
    }
    key.verify(&message(manifest), &bytes)?;
    Ok(*key)
}

fn message(manifest: &[u8]) -> Vec<u8> {
    [CONTEXT, manifest].concat()
}

/// The key field is not trusted: show it safely.
fn shorten(key: &str) -> String {
    key.chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect()
}

fn unreadable(reason: String) -> Error {
    Error::SignatureFormat { reason }
}
