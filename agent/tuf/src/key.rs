//! Public keys and their signatures (specification, section 4.2).

use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use spki::{SubjectPublicKeyInfoRef, der::Decode};

/// A public key as metadata lists it. What it can't do, it never verifies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Key {
    /// `ed25519`, `ecdsa`, `rsa`; older files say `ecdsa-sha2-nistp256`, too.
    pub keytype: String,
    /// How it signs.
    pub scheme: String,
    /// The key itself.
    pub keyval: KeyValue,
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct KeyValue {
    /// 64 hex digits for ed25519, PEM for the others.
    pub public: String,
}

impl Key {
    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match (self.keytype.as_str(), self.scheme.as_str()) {
            ("ed25519", "ed25519") => self.ed25519(message, signature),
            (keytype, scheme) => {
                let Some(algorithm) = algorithm(keytype, scheme) else {
                    return false;
                };
                let Some(public) = self.subject_public_key() else {
                    return false;
                };
                UnparsedPublicKey::new(algorithm, &public)
                    .verify(message, signature)
                    .is_ok()
            }
        }
    }

    /// What tells keys apart, however they are written down.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        let mut key = [0; 32];
        if self.keytype == "ed25519" && hex::decode_to_slice(&self.keyval.public, &mut key).is_ok()
        {
            return key.to_vec();
        }
        self.subject_public_key()
            .unwrap_or_else(|| self.keyval.public.clone().into_bytes())
    }

    /// Strictly: no keys of small order, no second encoding of a signature.
    fn ed25519(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut key = [0; 32];
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        hex::decode_to_slice(&self.keyval.public, &mut key).is_ok()
            && VerifyingKey::from_bytes(&key)
                .and_then(|key| key.verify_strict(message, &signature))
                .is_ok()
    }

    /// The bytes in a PEM file's SubjectPublicKeyInfo (RFC 5280): a point, or
    /// RSA's modulus and exponent.
    fn subject_public_key(&self) -> Option<Vec<u8>> {
        let pem = self.keyval.public.trim_end();
        let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).ok()?;
        if label != "PUBLIC KEY" {
            return None;
        }
        let info = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
        Some(info.subject_public_key.raw_bytes().to_vec())
    }
}

fn algorithm(keytype: &str, scheme: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (keytype, scheme) {
        ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
            &signature::ECDSA_P256_SHA256_ASN1
        }
        ("ecdsa" | "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384") => {
            &signature::ECDSA_P384_SHA384_ASN1
        }
        ("rsa", "rsassa-pss-sha256") => &signature::RSA_PSS_2048_8192_SHA256,
        ("rsa", "rsassa-pss-sha384") => &signature::RSA_PSS_2048_8192_SHA384,
        ("rsa", "rsassa-pss-sha512") => &signature::RSA_PSS_2048_8192_SHA512,
        ("rsa", "rsa-pkcs1v15-sha256") => &signature::RSA_PKCS1_2048_8192_SHA256,
        ("rsa", "rsa-pkcs1v15-sha384") => &signature::RSA_PKCS1_2048_8192_SHA384,
        ("rsa", "rsa-pkcs1v15-sha512") => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}
