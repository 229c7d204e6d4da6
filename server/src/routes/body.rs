//! Reading requests: bodies, and the limits of their fields.

use crate::error::Failure;
use axum::body::Bytes;
use resplice_api::{Step, limits};
use serde::de::DeserializeOwned;

/// Most entries of a page: 50, unless the caller asks for more or fewer.
pub(super) fn page_limit(limit: Option<u64>) -> Result<u64, Failure> {
    match limit.unwrap_or(50) {
        0 => Err(Failure::invalid("a page has at least one entry: limit=1")),
        limit => Ok(limit.min(limits::MAX_PAGE)),
    }
}

/// Reads a JSON body, which is an object.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    // Where an object is expected serde takes a list of its values, too.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Failure::invalid(
            "the body must be a JSON object, it is a list",
        ));
    }
    serde_json::from_slice(body).map_err(|error| {
        Failure::invalid(format!("the body is not the JSON that it must be: {error}"))
    })
}

/// Reads a JSON body that may be left out.
pub(super) fn json_or_default<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Failure> {
    if body.is_empty() {
        return Ok(T::default());
    }
    json(body)
}

/// One line of 1 to [`limits::MAX_NAME_BYTES`] bytes that can't drive a terminal.
pub(super) fn check_line(what: &str, text: &str) -> Result<(), Failure> {
    let good = (1..=limits::MAX_NAME_BYTES).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(is_unprintable);
    if good {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "the {what} must be one line of 1 to {} printable bytes",
        limits::MAX_NAME_BYTES
    )))
}

/// Printable ASCII without spaces.
pub(super) fn check_word(what: &str, text: &str) -> Result<(), Failure> {
    check_line(what, text)?;
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "the {what} {text:?} must be ASCII without blanks"
    )))
}

/// The name of a person or of a token. Case and look-alikes must not make two
/// people of one.
pub(super) fn check_person(what: &str, text: &str) -> Result<(), Failure> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = (1..=limits::MAX_PERSON_BYTES).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text
            .bytes()
            .all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-' | b'@'));
    if good {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "the {what} must be 1 to {} of a-z, 0-9, `.`, `_`, `-`, `@`, beginning with a letter or digit",
        limits::MAX_PERSON_BYTES
    )))
}

/// Control characters, and the marks that turn the direction of text around.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Longer text.
pub(super) fn check_text(what: &str, text: &str) -> Result<(), Failure> {
    if text.contains('\0') {
        return Err(Failure::invalid(format!("the {what} has a NUL character")));
    }
    if text.len() <= limits::MAX_TEXT_BYTES {
        return Ok(());
    }
    let limit = limits::MAX_TEXT_BYTES;
    Err(Failure::invalid(format!(
        "the {what} has more than {limit} bytes"
    )))
}

/// A list's length.
pub(super) fn check_count(what: &str, count: usize, limit: usize) -> Result<(), Failure> {
    if count <= limit {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "there are {count} {what}, the limit is {limit}"
    )))
}

/// Steps of a build or a host.
pub(super) fn check_steps(steps: &[Step]) -> Result<(), Failure> {
    check_count("steps", steps.len(), limits::MAX_STEPS)?;
    steps
        .iter()
        .try_for_each(|step| check_line("name of a step", &step.name))
}

/// An ed25519 public key in hex.
pub(super) fn check_key(text: &str) -> Result<resplice_package::PublicKey, Failure> {
    text.parse()
        .map_err(|error| Failure::invalid(format!("the public key can't be used: {error}")))
}
