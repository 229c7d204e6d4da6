//! Writing a package, and opening one.

use crate::{
    Error, FORMAT, MAX_MANIFEST_BYTES, Manifest, Member, PublicKey, SecretKey, archive, signature,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "signature.json";
/// The member that holds what the build found out.
pub const REPORT: &str = "report.json";
/// The member that holds the core.
pub const CORE_MODULE: &str = "modules/resplice.ko";

const MODULES: &str = "modules/";

/// The module of part `number` of the update `id`: `ID` for part 0, `ID_pN` for
/// part N. The core insists on it.
#[must_use]
pub fn part_name(id: &str, number: usize) -> String {
    match number {
        0 => id.to_owned(),
        _ => format!("{id}_p{number}"),
    }
}

/// The member that holds the module of part `number` of the update `id`.
#[must_use]
pub fn part_member(id: &str, number: usize) -> String {
    format!("{MODULES}{}.ko", part_name(id, number))
}

/// A part of an update, ready to be loaded.
#[derive(Debug, Clone)]
pub struct PartModule<'a> {
    /// The module's name.
    pub name: String,
    /// The kernel object that it is for: `vmlinux` or a module's name.
    pub object: &'a str,
    /// The module's bytes.
    pub bytes: &'a [u8],
}

/// sha256 in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A package that has been verified: there is no other way to get one.
#[derive(Debug, Clone)]
pub struct Package {
    manifest: Manifest,
    members: BTreeMap<String, Vec<u8>>,
    signature: Vec<u8>,
    signer: PublicKey,
    digest: String,
}

impl Package {
    /// Writes and signs a package. `manifest.members` is filled in here, and the
    /// lists are sorted. The same arguments give the same bytes. `members` must
    /// hold a module for each part ([`part_member`]), [`CORE_MODULE`] and [`REPORT`].
    ///
    /// # Errors
    /// Whatever [`Package::open`] would refuse.
    pub fn write(
        mut manifest: Manifest,
        mut members: BTreeMap<String, Vec<u8>>,
        key: &SecretKey,
    ) -> Result<Vec<u8>, Error> {
        let encoded = fill_in(&mut manifest, &members)?;
        members.insert(SIGNATURE.to_owned(), signature::sign(&encoded, key)?);
        members.insert(MANIFEST.to_owned(), encoded);
        let bytes = archive::encode(&members)?;
        // What the reader would refuse must not leave the writer.
        Self::open(&bytes, &[key.public()])?;
        Ok(bytes)
    }

    /// Opens a package: everything is checked, nothing is believed before the
    /// signature of one of the `trusted` keys over it has been.
    ///
    /// # Errors
    /// See [`Error`]: any byte that differs from what a trusted key signed.
    pub fn open(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, Error> {
        let mut members = archive::decode(bytes)?;
        let manifest_bytes = take(&mut members, MANIFEST)?;
        let signature_bytes = take(&mut members, SIGNATURE)?;
        if manifest_bytes.len() > MAX_MANIFEST_BYTES {
            return Err(Error::TooLarge {
                what: "the package's manifest".to_owned(),
                bytes: manifest_bytes.len() as u64,
                limit: MAX_MANIFEST_BYTES as u64,
            });
        }
        let signer = signature::verify(manifest_bytes, signature_bytes, trusted)?;
        let manifest = Manifest::decode(manifest_bytes)?;
        check_members(&manifest, &members)?;
        Ok(Self {
            manifest,
            members: members
                .into_iter()
                .map(|(name, bytes)| (name, bytes.to_vec()))
                .collect(),
            signature: signature_bytes.to_vec(),
            signer,
            digest: sha256_hex(bytes),
        })
    }

    /// What another build of the same inputs gives, as a package, with this one's
    /// signature: without the key that is as far as it goes. The bytes are those of
    /// this package if, and only if, the build is the same.
    ///
    /// # Errors
    /// For names and sizes that no package has.
    pub fn rebuilt(
        &self,
        mut manifest: Manifest,
        mut members: BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<u8>, Error> {
        let encoded = fill_in(&mut manifest, &members)?;
        members.insert(SIGNATURE.to_owned(), self.signature.clone());
        members.insert(MANIFEST.to_owned(), encoded);
        archive::encode(&members)
    }

    /// What the package says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The trusted key that signed it.
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// sha256 of the whole package, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// A member's bytes.
    ///
    /// # Errors
    /// [`Error::MissingMember`].
    pub fn member(&self, name: &str) -> Result<&[u8], Error> {
        self.members
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| Error::MissingMember {
                name: name.to_owned(),
            })
    }

    /// The parts, by number.
    ///
    /// # Errors
    /// None in practice: [`Package::open`] has made sure that all are there.
    pub fn parts(&self) -> Result<Vec<PartModule<'_>>, Error> {
        let id = &self.manifest.id;
        self.manifest
            .parts
            .iter()
            .enumerate()
            .map(|(number, part)| {
                Ok(PartModule {
                    name: part_name(id, number),
                    object: &part.object,
                    bytes: self.member(&part_member(id, number))?,
                })
            })
            .collect()
    }

    /// The core (`modules/resplice.ko`).
    ///
    /// # Errors
    /// None in practice, as above.
    pub fn core_module(&self) -> Result<&[u8], Error> {
        self.member(CORE_MODULE)
    }

    /// What the build found out (`report.json`).
    ///
    /// # Errors
    /// None in practice, as above.
    pub fn report(&self) -> Result<&[u8], Error> {
        self.member(REPORT)
    }
}

/// Fills in the members and gives the manifest's bytes.
fn fill_in(manifest: &mut Manifest, members: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Error> {
    for reserved in [MANIFEST, SIGNATURE] {
        if members.contains_key(reserved) {
            return Err(Error::BadName {
                name: reserved.to_owned(),
            });
        }
    }
    manifest.format = FORMAT;
    manifest.members = members
        .iter()
        .map(|(name, bytes)| Member {
            name: name.clone(),
            sha256: sha256_hex(bytes),
            bytes: bytes.len() as u64,
        })
        .collect();
    manifest.encode()
}

fn take<'a>(members: &mut BTreeMap<String, &'a [u8]>, name: &str) -> Result<&'a [u8], Error> {
    members.remove(name).ok_or_else(|| Error::MissingMember {
        name: name.to_owned(),
    })
}

/// The members are those that the manifest lists, byte for byte, in order.
fn check_members(manifest: &Manifest, members: &BTreeMap<String, &[u8]>) -> Result<(), Error> {
    let listed: BTreeSet<&str> = manifest.members.iter().map(|m| m.name.as_str()).collect();
    if let Some(name) = members.keys().find(|name| !listed.contains(name.as_str())) {
        return Err(Error::ExtraMember { name: name.clone() });
    }
    if !manifest.members.is_sorted_by(|a, b| a.name < b.name) {
        return Err(Error::Manifest {
            reason: "members are out of order or listed twice".to_owned(),
        });
    }
    let mut needed: BTreeSet<String> = (0..manifest.parts.len())
        .map(|number| part_member(&manifest.id, number))
        .collect();
    needed.extend([CORE_MODULE, REPORT].map(str::to_owned));
    if let Some(name) = needed.iter().find(|name| !listed.contains(name.as_str())) {
        return Err(Error::MissingMember { name: name.clone() });
    }
    // A module that is no part has no business here.
    let foreign = |name: &&&str| name.starts_with(MODULES) && !needed.contains(**name);
    if let Some(name) = listed.iter().find(foreign) {
        return Err(Error::ForeignModule {
            name: (*name).to_owned(),
        });
    }
    for member in &manifest.members {
        let missing = || Error::MissingMember {
            name: member.name.clone(),
        };
        let bytes = members.get(&member.name).ok_or_else(missing)?;
        let found = sha256_hex(bytes);
        if bytes.len() as u64 != member.bytes || found != member.sha256 {
            return Err(Error::Digest {
                name: member.name.clone(),
                expected: member.sha256.clone(),
                found,
            });
        }
    }
    Ok(())
}
