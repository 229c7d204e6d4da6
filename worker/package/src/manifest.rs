//! What a package says about itself.

use crate::{Error, name};
use serde::{Deserialize, Serialize};

/// The format number of packages that this crate writes and reads.
pub const FORMAT: u32 = 3;
/// Largest manifest in bytes.
pub const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Most parts of an update: kernel objects that it changes (RESPLICE_MAX_PARTS).
pub const MAX_PARTS: usize = 64;

/// The kernel itself, as an object.
const VMLINUX: &str = "vmlinux";
/// Most functions of a part, and CVE ids and inputs that a manifest may list.
const MAX_FUNCTIONS: usize = 4096;
/// Most updates that one supersedes (RESPLICE_MAX_SUPERSEDED).
const MAX_SUPERSEDED: usize = 256;
const MAX_CVES: usize = 256;
const MAX_INPUTS: usize = 1024;

/// The manifest. Its JSON has exactly one encoding: these fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Id inside the kernel, and the update module's name: `rsp_` and 12 hex digits.
    pub id: String,
    /// The update on the server that this was built for.
    pub update_id: String,
    /// One line for people.
    pub name: String,
    /// CVE ids that this fixes; may be empty.
    pub cves: Vec<String>,
    /// Ids inside the kernel of the updates whose place it takes, sorted: when it
    /// is applied they are undone, in the same stop.
    pub supersedes: Vec<String>,
    /// The one kernel that it is for.
    pub target: Target,
    /// What it changes, by kernel object; applied and undone together. First
    /// `vmlinux`, if it is among them, then modules by name.
    pub parts: Vec<Part>,
    /// Every member but `manifest.json` and `signature.json`, by name;
    /// [`crate::Package::write`] fills this in.
    pub members: Vec<Member>,
    /// The program that built it, with its version.
    pub built_by: String,
    /// What went in, by digest.
    pub inputs: Vec<Input>,
}

/// The kernel that a package is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// For example `debian:6.1.0-50-cloud-amd64`.
    pub id: String,
    /// What `uname -r` says there.
    pub release: String,
    /// The distribution's package version, for example `6.1.176-1`.
    pub package_version: String,
    /// sha256 over the target's inputs, in hex.
    pub digest: String,
}

/// What an update changes in one kernel object. The part with the number N is
/// the module [`crate::part_name`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The patched object: `vmlinux` or a module's name.
    pub object: String,
    /// The replaced functions.
    pub functions: Vec<Function>,
}

/// A function that the update replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// The symbol's name.
    pub name: String,
    /// The translation unit it is in, for example `net/ipv6/seg6.c`.
    pub unit: String,
    /// Bytes of the running function.
    pub old_size: u64,
    /// Bytes of its replacement.
    pub new_size: u64,
}

/// A member of the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name in the archive.
    pub name: String,
    /// sha256 of its bytes, in hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Something that went into the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What it is, for example `patch` or a package's name.
    pub name: String,
    /// Its sha256, in hex.
    pub sha256: String,
}

impl Manifest {
    /// The manifest's one encoding.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self).map_err(|error| invalid(error.to_string()))?;
        check_size(bytes.len())?;
        Ok(bytes)
    }

    /// Reads a manifest whose signature has been checked.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        check_size(bytes.len())?;
        check_format(bytes)?;
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        manifest.check()?;
        if manifest.encode()? != bytes {
            return Err(invalid("its JSON is not in canonical form".to_owned()));
        }
        Ok(manifest)
    }

    /// Checks every field against its limits.
    pub(crate) fn check(&self) -> Result<(), Error> {
        need(self.format == FORMAT, "format", &self.format)?;
        need(name::is_id(&self.id), "id", &self.id)?;
        need(
            name::is_word(&self.update_id, 64),
            "update_id",
            &self.update_id,
        )?;
        need(name::is_line(&self.name, 512), "name", &self.name)?;
        need(
            self.cves.len() <= MAX_CVES,
            "number of CVEs",
            &self.cves.len(),
        )?;
        for cve in &self.cves {
            need(name::is_cve(cve), "CVE id", cve)?;
        }
        self.check_supersedes()?;
        let target = &self.target;
        need(name::is_word(&target.id, 128), "target", &target.id)?;
        // 64 is what the kernel's utsname holds, with the NUL.
        need(
            name::is_word(&target.release, 64),
            "release",
            &target.release,
        )?;
        need(
            name::is_word(&target.package_version, 128),
            "version",
            &target.package_version,
        )?;
        need(
            name::is_sha256(&target.digest),
            "target digest",
            &target.digest,
        )?;
        self.check_parts()?;
        need(
            name::is_line(&self.built_by, 256),
            "built_by",
            &self.built_by,
        )?;
        need(
            self.inputs.len() <= MAX_INPUTS,
            "number of inputs",
            &self.inputs.len(),
        )?;
        for input in &self.inputs {
            need(name::is_line(&input.name, 256), "input", &input.name)?;
            need(
                name::is_sha256(&input.sha256),
                "input digest",
                &input.sha256,
            )?;
        }
        Ok(())
    }
}

impl Manifest {
    /// The names of the kernel objects that it changes.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.object.as_str())
    }

    /// All functions that it replaces.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.parts.iter().flat_map(|part| &part.functions)
    }

    fn check_supersedes(&self) -> Result<(), Error> {
        let ids = &self.supersedes;
        need(
            ids.len() <= MAX_SUPERSEDED,
            "number of superseded updates",
            &ids.len(),
        )?;
        for (at, id) in ids.iter().enumerate() {
            let in_order = at == 0 || ids[at - 1] < *id;
            need(
                name::is_id(id) && *id != self.id && in_order,
                "superseded update",
                id,
            )?;
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), Error> {
        let count = self.parts.len();
        need((1..=MAX_PARTS).contains(&count), "number of parts", &count)?;
        // The last part's module has the longest name.
        let last = crate::part_name(&self.id, count - 1);
        need(name::is_id(&last), "module name", &last)?;
        for part in &self.parts {
            part.check()?;
        }
        let rank = |part: &Part| (part.object != VMLINUX, part.object.clone());
        if self.parts.is_sorted_by(|a, b| rank(a) < rank(b)) {
            return Ok(());
        }
        Err(invalid(
            "its parts are out of order, or two are for one object".to_owned(),
        ))
    }
}

impl Part {
    fn check(&self) -> Result<(), Error> {
        need(name::is_word(&self.object, 64), "object", &self.object)?;
        let count = self.functions.len();
        // None: a part may consist of hooks or data alone.
        need(count <= MAX_FUNCTIONS, "number of functions", &count)?;
        for function in &self.functions {
            need(
                name::is_word(&function.name, 511),
                "function",
                &function.name,
            )?;
            need(name::is_word(&function.unit, 511), "unit", &function.unit)?;
        }
        Ok(())
    }
}

/// Looks at the format number alone, so that a later format is named as such
/// instead of failing on a field that this version does not know.
fn check_format(bytes: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct FormatOnly {
        format: u64,
    }
    let only: FormatOnly =
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    if only.format == u64::from(FORMAT) {
        return Ok(());
    }
    Err(Error::Format {
        found: only.format,
        expected: FORMAT,
    })
}

fn check_size(bytes: usize) -> Result<(), Error> {
    if bytes <= MAX_MANIFEST_BYTES {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: "the package's manifest".to_owned(),
        bytes: bytes as u64,
        limit: MAX_MANIFEST_BYTES as u64,
    })
}

fn need(good: bool, what: &str, value: &dyn std::fmt::Debug) -> Result<(), Error> {
    if good {
        return Ok(());
    }
    let mut shown = format!("{value:?}");
    if shown.len() > 80 {
        shown = shown.chars().take(80).chain("…".chars()).collect();
    }
    Err(invalid(format!("{what} {shown} is not allowed")))
}

fn invalid(reason: String) -> Error {
    Error::Manifest { reason }
}
