//! The key that signs CSAF documents, and its signatures: OpenPGP (RFC 9580),
//! version 4, Ed25519 in the form that readers of RFC 4880 know too (algorithm 22).
//!
//! Only what one key with one user id and detached signatures take is here; it
//! reads no OpenPGP.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Digest, Sha512};

/// Packet types (section 5).
const SIGNATURE: u8 = 2;
const PUBLIC_KEY: u8 = 6;
const USER_ID: u8 = 13;
/// The public key algorithm EdDSA, legacy (section 9.1).
const EDDSA: u8 = 22;
/// The hash algorithm SHA-512 (section 9.5).
const SHA512: u8 = 10;
/// The curve's object identifier, with its length (section 9.2).
const CURVE: [u8; 10] = [9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1];
/// Signature types (section 5.2.1).
const OVER_DATA: u8 = 0x00;
const OVER_USER_ID: u8 = 0x13;
/// Longest user id that is made, in bytes.
const MAX_USER_ID_BYTES: usize = 1000;

/// A text that is not a key.
#[derive(Debug, thiserror::Error)]
#[error("it is not the key of the feeds: `SECONDS-SEED`, when it was made and 64 hex digits")]
pub struct NoKey;

/// The secret key.
pub struct SecretKey {
    key: SigningKey,
    created: u32,
}

impl SecretKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn new(seed: &[u8; 32], created: Timestamp) -> Self {
        Self {
            key: SigningKey::from_bytes(seed),
            created: seconds(created),
        }
    }

    /// Reads what [`SecretKey::text`] wrote.
    ///
    /// # Errors
    /// If it is not that.
    pub fn read(text: &str) -> Result<Self, NoKey> {
        let (created, seed) = text.trim().split_once('-').ok_or(NoKey)?;
        let created = created.parse().map_err(|_| NoKey)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed, &mut bytes).map_err(|_| NoKey)?;
        let key = SigningKey::from_bytes(&bytes);
        Ok(Self { key, created })
    }

    /// The secret, for a file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}-{}", self.created, hex::encode(self.key.to_bytes()))
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        Timestamp::from_second(self.created.into()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The fingerprint in hex (section 5.5.4.2).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(self.fingerprint_bytes())
    }

    fn fingerprint_bytes(&self) -> [u8; 20] {
        Sha1::digest(self.hashed_key()).into()
    }

    /// The public key of whoever has this name, as ASCII armor.
    #[must_use]
    pub fn public(&self, name: &str) -> String {
        let mut end = name.len().min(MAX_USER_ID_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let user = name.as_bytes().get(..end).unwrap_or_default();
        let mut signed = self.hashed_key();
        signed.push(0xb4);
        signed.extend(length(user).to_be_bytes());
        signed.extend(user);
        // It may certify and sign (section 5.2.3.29).
        let flags = subpacket(27, &[0x03]);
        let certification = self.signature(OVER_USER_ID, &signed, self.created, &flags);
        let mut packets = packet(PUBLIC_KEY, &self.public_key());
        packets.extend(packet(USER_ID, user));
        packets.extend(packet(SIGNATURE, &certification));
        armor("PUBLIC KEY BLOCK", &packets)
    }

    /// A detached signature, as ASCII armor. The same bytes at the same time have
    /// the same signature; it is never older than the key.
    #[must_use]
    pub fn sign(&self, bytes: &[u8], at: Timestamp) -> String {
        let created = seconds(at).max(self.created);
        let signature = self.signature(OVER_DATA, bytes, created, &[]);
        armor("SIGNATURE", &packet(SIGNATURE, &signature))
    }

    /// The body of the public key's packet (section 5.5.2.2).
    fn public_key(&self) -> Vec<u8> {
        let mut body = vec![4];
        body.extend(self.created.to_be_bytes());
        body.push(EDDSA);
        body.extend(CURVE);
        let mut point = vec![0x40];
        point.extend(self.key.verifying_key().as_bytes());
        body.extend(integer(&point));
        body
    }

    /// The public key as it is hashed (section 5.2.4).
    fn hashed_key(&self) -> Vec<u8> {
        let body = self.public_key();
        let mut hashed = vec![0x99];
        // 51 bytes.
        hashed.extend((length(&body) as u16).to_be_bytes());
        hashed.extend(body);
        hashed
    }

    /// The body of a signature's packet (section 5.2.3).
    fn signature(&self, kind: u8, signed: &[u8], created: u32, more: &[u8]) -> Vec<u8> {
        let fingerprint = self.fingerprint_bytes();
        let mut issuer = vec![4];
        issuer.extend(fingerprint);
        let mut hashed = subpacket(2, &created.to_be_bytes());
        hashed.extend(subpacket(33, &issuer));
        hashed.extend(more);
        let mut body = vec![4, kind, EDDSA, SHA512];
        body.extend((length(&hashed) as u16).to_be_bytes());
        body.extend(hashed);
        let mut hash = Sha512::new();
        hash.update(signed);
        hash.update(&body);
        hash.update([4, 0xff]);
        hash.update(length(&body).to_be_bytes());
        let digest = hash.finalize();
        // The key's id, for readers that look for nothing else.
        let unhashed = subpacket(16, fingerprint.get(12..).unwrap_or_default());
        body.extend((length(&unhashed) as u16).to_be_bytes());
        body.extend(unhashed);
        body.extend(digest.get(..2).unwrap_or_default());
        let signature = self.key.sign(&digest);
        body.extend(integer(signature.r_bytes()));
        body.extend(integer(signature.s_bytes()));
        body
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint())
    }
}

/// A time of OpenPGP: seconds since 1970, up to 2106.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().max(0)).unwrap_or(u32::MAX)
}

/// Nothing here is longer than a user id.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// A subpacket of a signature: one of up to 190 bytes.
fn subpacket(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![data.len() as u8 + 1, kind];
    bytes.extend(data);
    bytes
}

/// A multiprecision integer (section 3.2).
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let first = digits.first().map_or(0, |byte| byte.leading_zeros());
    let bits = length(digits) * 8 - first;
    let mut integer = (bits as u16).to_be_bytes().to_vec();
    integer.extend(digits);
    integer
}

/// A packet with a length of one or two bytes (section 4.2.1).
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc0 | kind];
    match body.len() {
        short @ 0..192 => bytes.push(short as u8),
        long => {
            let rest = long - 192;
            bytes.extend([(rest / 256) as u8 + 192, (rest % 256) as u8]);
        }
    }
    bytes.extend(body);
    bytes
}

/// ASCII armor with its checksum (section 6).
fn armor(what: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut armored = format!("-----BEGIN PGP {what}-----\n\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        armored.push_str(line);
        armored.push('\n');
        rest = after;
    }
    let sum = crc24(bytes).to_be_bytes();
    let sum = STANDARD.encode(sum.get(1..).unwrap_or_default());
    armored.push_str(&format!("={sum}\n-----END PGP {what}-----\n"));
    armored
}

/// The checksum of armor (section 6.1.1).
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00b7_04ce_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key() -> SecretKey {
        SecretKey::new(&[7; 32], Timestamp::from_second(1_790_000_000).unwrap())
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_signs_the_same() {
        let again = SecretKey::read(&format!("{}\n", key().text())).unwrap();
        assert_eq!(key().fingerprint(), again.fingerprint());
        let at = Timestamp::from_second(1_900_000_000).unwrap();
        let signature = key().sign(b"text", at);
        assert_eq!(signature, again.sign(b"text", at));
        assert_ne!(signature, key().sign(b"test", at));
        let before = key().sign(b"text", Timestamp::UNIX_EPOCH);
        assert_eq!(before, key().sign(b"text", key().created()));
    }

    #[test]
    fn debug_shows_no_secret_and_what_is_no_key_is_refused() {
        assert_eq!(
            format!("{:?}", key()),
            format!("SecretKey({})", key().fingerprint())
        );
        let text = key().text();
        for bad in ["", "x", "1-2", &text[..text.len() - 1], &format!("x{text}")] {
            assert!(SecretKey::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn integers_have_no_zeros_in_front_and_the_checksum_is_the_standards() {
        assert_eq!(integer(&[0, 0, 1, 0xff]), [0, 9, 1, 0xff]);
        assert_eq!(integer(&[0, 0]), [0, 0]);
        assert_eq!(crc24(b"123456789"), 0x0021_cf02);
    }
}
