//! Secrets of subscriptions, and signatures by Standard Webhooks 1.0.
//!
//! The database keeps no secret: each follows from the server's own key, the
//! subscription's id, and how often its secrets were rotated.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key that all secrets follow from.
pub struct MasterKey([u8; 32]);

/// The secrets of a subscription between two rotations.
pub struct Secrets {
    hmac: [u8; 32],
    key: SigningKey,
}

impl MasterKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secrets of a subscription after so many rotations.
    #[must_use]
    pub fn secrets(&self, webhook: &str, rotations: i64) -> Secrets {
        let derive = |what: &str| {
            let text = format!("resplice webhook\n{what}\n{webhook}\n{rotations}");
            hmac(&self.0, text.as_bytes())
        };
        Secrets {
            hmac: derive("v1"),
            key: SigningKey::from_bytes(&derive("v1a")),
        }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

impl Secrets {
    /// The shared secret, as the vendor gets it.
    #[must_use]
    pub fn shared(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.hmac))
    }

    /// The public key, as the vendor gets it.
    #[must_use]
    pub fn public(&self) -> String {
        format!(
            "whpk_{}",
            STANDARD.encode(self.key.verifying_key().as_bytes())
        )
    }

    /// Both signatures of a message, as they stand in the header.
    fn sign(&self, signed: &[u8]) -> String {
        let shared = STANDARD.encode(hmac(&self.hmac, signed));
        let own = STANDARD.encode(self.key.sign(signed).to_bytes());
        format!("v1,{shared} v1a,{own}")
    }
}

/// The header `webhook-signature`: that of the new secrets, then of those that
/// hold for a while yet.
#[must_use]
pub fn header(secrets: &[Secrets], id: &str, seconds: i64, body: &str) -> String {
    let signed = format!("{id}.{seconds}.{body}");
    let each = secrets
        .iter()
        .map(|secrets| secrets.sign(signed.as_bytes()));
    each.collect::<Vec<_>>().join(" ")
}

fn hmac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// HMAC's own key is a block of the hash, which a shorter one begins.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    Hmac::new(&block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_follow_from_key_subscription_and_rotation() {
        let key = MasterKey::new([1; 32]);
        let own = key.secrets("a", 0);
        assert_eq!(own.shared(), key.secrets("a", 0).shared());
        let others = [
            key.secrets("a", 1),
            key.secrets("b", 0),
            MasterKey::new([2; 32]).secrets("a", 0),
        ];
        for other in others {
            assert_ne!(own.shared(), other.shared());
            assert_ne!(own.public(), other.public());
        }
    }

    #[test]
    fn a_rotation_adds_a_pair_of_signatures() {
        let key = MasterKey::new([1; 32]);
        let one = header(&[key.secrets("a", 0)], "msg", 1, "{}");
        let both = header(&[key.secrets("a", 1), key.secrets("a", 0)], "msg", 1, "{}");
        assert_eq!(one.split(' ').count(), 2);
        assert_eq!(both.split(' ').count(), 4);
        assert!(both.ends_with(&one));
    }
}
