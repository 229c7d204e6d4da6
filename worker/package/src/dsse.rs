//! Envelopes: a payload with its type and one signature, in the form of DSSE
//! (Dead Simple Signing Envelope, version 1.0.0 of its protocol and envelope).

use crate::{Error, PublicKey, SecretKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: [Signature; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: String,
}

/// What is signed (protocol, "pre-authentication encoding"): type and payload,
/// each with its length before it.
fn message(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_bytes, payload_bytes) = (payload_type.len(), payload.len());
    let head = format!("DSSEv1 {type_bytes} {payload_type} {payload_bytes} ");
    [head.as_bytes(), payload].concat()
}

/// The envelope around a payload.
pub(crate) fn seal(payload_type: &str, payload: &[u8], key: &SecretKey) -> Result<Vec<u8>, Error> {
    let envelope = Envelope {
        payload_type: payload_type.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: [Signature {
            keyid: key.public().to_string(),
            sig: STANDARD.encode(key.sign(&message(payload_type, payload))),
        }],
    };
    serde_json::to_vec(&envelope).map_err(|error| refused(error.to_string()))
}

/// The payload of an envelope of this type, and the key that signed it, which is
/// one of `trusted`. Nothing of the payload is looked at before that.
pub(crate) fn open(
    payload_type: &str,
    bytes: &[u8],
    trusted: &[PublicKey],
) -> Result<(Vec<u8>, PublicKey), Error> {
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    if envelope.payload_type != payload_type {
        return Err(refused(format!(
            "its payload is no {payload_type}, but {:?}",
            shorten(&envelope.payload_type)
        )));
    }
    let [signature] = &envelope.signatures;
    // The key id is a hint (protocol, "verification"); here it is the key itself.
    let key = trusted
        .iter()
        .find(|key| key.to_string() == signature.keyid)
        .ok_or_else(|| {
            refused(format!(
                "it is signed by the key {}, which is not trusted here",
                shorten(&signature.keyid)
            ))
        })?;
    let payload = decode("payload", &envelope.payload)?;
    let signature: [u8; 64] = decode("signature", &signature.sig)?
        .try_into()
        .map_err(|_| refused("its signature has not 64 bytes".to_owned()))?;
    key.verify(&message(payload_type, &payload), &signature)
        .map_err(|_| refused("it was altered after it was signed".to_owned()))?;
    // One encoding only: else the same statement could go about under many digests.
    let again = serde_json::to_vec(&envelope).map_err(|error| refused(error.to_string()))?;
    if again != bytes {
        return Err(refused("its envelope is not in canonical form".to_owned()));
    }
    Ok((payload, *key))
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(text)
        .map_err(|error| refused(format!("its {what} is not in base64: {error}")))
}

/// What is not trusted yet, safe to be shown.
fn shorten(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect()
}

fn refused(reason: String) -> Error {
    Error::Provenance { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_as_in_the_protocol() {
        // The protocol's own example.
        let message = message("http://example.com/HelloWorld", b"hello world");
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(message, expected);
    }
}
