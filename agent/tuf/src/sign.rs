//! Writing and signing files, for those who keep a repository.

use crate::json::Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The version of the specification that is written.
pub const SPEC_VERSION: &str = "1.0.33";

/// An object from its members.
#[must_use]
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Json::Object(BTreeMap::from(members))
}

/// A string.
#[must_use]
pub fn text(text: &str) -> Json {
    Json::Text(text.to_owned())
}

/// A public ed25519 key as metadata lists it, and its id: the sha256 of its
/// canonical form.
#[must_use]
pub fn public(key: &[u8; 32]) -> (String, Json) {
    let value = object([
        ("keytype", text("ed25519")),
        ("scheme", text("ed25519")),
        ("keyval", object([("public", text(&hex::encode(key)))])),
    ]);
    let id = hex::encode(Sha256::digest(value.canonical()));
    (id, value)
}

/// A file of what is signed, and signatures over its canonical form: in hex, by
/// the id of their key.
#[must_use]
pub fn seal(signed: &Json, signatures: &BTreeMap<String, String>) -> Vec<u8> {
    let signatures = signatures
        .iter()
        .map(|(id, signature)| object([("keyid", text(id)), ("sig", text(signature))]))
        .collect();
    object([
        ("signed", signed.clone()),
        ("signatures", Json::Array(signatures)),
    ])
    .file()
}
