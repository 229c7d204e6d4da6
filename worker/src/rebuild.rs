//! Building again what somebody else has built, to see whether it is the same.
//!
//! Nothing is taken from the package but its signatures: those of its modules,
//! if a key that is not here has signed them, and the worker's.

use crate::{Error, kmod::Kmod, pipeline::Request, provenance::Run};
use resplice_package::{
    CORE_MODULE, Manifest, Package, Provenance, PublicKey, part_member,
    provenance::{CHECK, MODULE_SOURCES, PATCH},
};
use resplice_target::Target;
use std::collections::BTreeMap;

/// What ends a module that is signed (Documentation/admin-guide/module-signing.rst).
const SIGNED: &[u8] = b"~Module signature appended~\n";
/// Bytes of `struct module_signature`, whose last four are the signature's size.
const SIGNATURE_HEAD: usize = 12;

/// A package and what is said of its origin, which belong together.
#[derive(Debug)]
pub struct Original {
    bytes: Vec<u8>,
    package: Package,
    provenance: Provenance,
}

/// What another build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The same bytes.
    Same,
    /// Others; the members that differ, and how.
    Differs(Vec<String>),
}

impl Original {
    /// Opens both; one of the `trusted` keys must have signed both.
    ///
    /// # Errors
    /// If anything about them was altered, or they do not belong together.
    pub fn open(
        bytes: Vec<u8>,
        provenance: &[u8],
        trusted: &[PublicKey],
    ) -> Result<Self, resplice_package::Error> {
        let package = Package::open(&bytes, trusted)?;
        let provenance = Provenance::open(provenance, trusted)?;
        provenance.vouches_for(&package)?;
        Ok(Self {
            bytes,
            package,
            provenance,
        })
    }

    /// What the package says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.package.manifest()
    }

    /// What is said of its origin.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Makes sure that what goes in this time went in then.
    ///
    /// # Errors
    /// [`Error::Refused`] with what is another one, or missing.
    pub fn check_inputs(
        &self,
        target: &Target,
        request: &Request,
        kmod: &Kmod,
    ) -> Result<(), Error> {
        let asked = &self.provenance.definition().external_parameters;
        let check = request
            .check
            .as_ref()
            .map(|check| check.sha256().to_owned());
        let digest_of = |name| self.provenance.digest_of(name).map(str::to_owned);
        for (what, then, now) in [
            ("the patch", digest_of(PATCH), Some(request.patch.sha256())),
            (
                "the target",
                Some(asked.target_digest.clone()),
                Some(target.digest()),
            ),
            ("the check", digest_of(CHECK), check),
            (
                "the source of core and update modules (install that worker's version, or name it \
                 with --kmod)",
                digest_of(MODULE_SOURCES),
                Some(kmod.digest()),
            ),
        ] {
            if then != now {
                let word = |digest: Option<String>| digest.unwrap_or_else(|| "none".to_owned());
                return Err(Error::Refused(format!(
                    "{what} had the sha256 {}, and has {} here",
                    word(then),
                    word(now)
                )));
            }
        }
        Ok(())
    }

    /// What else is not as it was: reasons why the bytes may differ.
    #[must_use]
    pub fn remarks(&self, run: &Run) -> Vec<String> {
        let mut remarks = Vec::new();
        for tool in run.tools() {
            match self.provenance.digest_of(&tool.name) {
                Some(then) if then == tool.digest.sha256 => {}
                Some(_) => remarks.push(format!("{} is another one here", tool.name)),
                None => remarks.push(format!("{} was not there then", tool.name)),
            }
        }
        let (then, now) = (self.provenance.built_by(), crate::package::BUILT_BY);
        if then != now {
            remarks.push(format!("{then} built it, this is {now}"));
        }
        remarks
    }

    /// Holds the other build's manifest and members against this package.
    ///
    /// # Errors
    /// If they make no package at all.
    pub fn compare(
        &self,
        manifest: Manifest,
        mut members: BTreeMap<String, Vec<u8>>,
        key_is_here: bool,
    ) -> Result<Comparison, Error> {
        let set = &self.provenance.definition().internal_parameters;
        if set.modules_signed && !key_is_here {
            self.carry_signatures(&mut members);
        }
        let again = self
            .package
            .rebuilt(manifest.clone(), members.clone())
            .map_err(|error| Error::internal("put the package together", error))?;
        if again == self.bytes {
            return Ok(Comparison::Same);
        }
        let mut differences = Vec::new();
        for member in &self.manifest().members {
            let then = self.package.member(&member.name).unwrap_or_default();
            let Some(now) = members.remove(&member.name) else {
                differences.push(format!("{} is not there", member.name));
                continue;
            };
            if now != then {
                let at = now.iter().zip(then).take_while(|(a, b)| a == b).count();
                differences.push(format!(
                    "{} differs from byte {at} on ({} and {} bytes)",
                    member.name,
                    then.len(),
                    now.len()
                ));
            }
        }
        differences.extend(members.keys().map(|name| format!("{name} is new")));
        if differences.is_empty() {
            differences.push("manifest.json differs".to_owned());
        }
        Ok(Comparison::Differs(differences))
    }

    /// Appends the signatures of this package's modules to the other build's.
    fn carry_signatures(&self, members: &mut BTreeMap<String, Vec<u8>>) {
        let id = &self.manifest().id;
        let parts = (0..self.manifest().parts.len()).map(|number| part_member(id, number));
        for name in parts.chain([CORE_MODULE.to_owned()]) {
            let signed = self.package.member(&name).unwrap_or_default();
            if let (Some(module), Some(signature)) = (members.get_mut(&name), signature_of(signed))
            {
                module.extend_from_slice(signature);
            }
        }
    }
}

/// The signature at a module's end, with all that belongs to it.
fn signature_of(module: &[u8]) -> Option<&[u8]> {
    let unmarked = module.strip_suffix(SIGNED)?;
    let (_, head) = unmarked.split_at_checked(unmarked.len().checked_sub(SIGNATURE_HEAD)?)?;
    let size = u32::from_be_bytes(head.get(SIGNATURE_HEAD - 4..)?.try_into().ok()?);
    let whole = SIGNED.len() + SIGNATURE_HEAD + usize::try_from(size).ok()?;
    module.get(module.len().checked_sub(whole)?..)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signature_is_cut_off_whole_or_not_at_all() {
        let head = |size: u8| [&[0, 0, 2, 0, 0, 0, 0, 0][..], &[0, 0, 0, size]].concat();
        let module = |size: u8| [&b"module"[..], b"sig", &head(size), SIGNED].concat();
        let signed = module(3);
        let signature = signature_of(&signed).unwrap();
        assert_eq!(signature, &signed[6..]);
        assert_eq!(signature_of(&module(200)), None);
        for plain in [&b""[..], b"module", SIGNED, &signed[..signed.len() - 1]] {
            assert_eq!(signature_of(plain), None);
        }
    }
}
