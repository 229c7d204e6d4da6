//! What Debian's archive holds, asked of the machine's own apt: it knows the mirror, the suites and the keys.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{command, output};
use crate::error::Error;
use crate::id::{Alias, TargetId, TargetSpec};
use crate::version;

/// A kernel image that the archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// The target.
    pub id: TargetId,
    /// The image's newest package version for which the source is there too, else its newest version.
    pub package_version: String,
    /// Packages that an import needs and the archive does not hold in this version; empty if it can be imported.
    pub missing: Vec<String>,
}

/// A package file as the archive's index describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageFile {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
}

/// Package name to the versions the archive holds.
pub(crate) type Versions = BTreeMap<String, BTreeSet<String>>;

/// Lists the stock kernels in the archive, oldest first.
///
/// # Errors
/// Those of running `apt-cache`; [`Error::NotInArchive`] if apt knows no kernel at all.
pub fn list() -> Result<Vec<Available>, Error> {
    let names = output(
        "list the kernel packages",
        command("apt-cache").args(["pkgnames", "linux-image-"]),
        "apt",
    )?;
    let ids: Vec<TargetId> = names
        .lines()
        .filter_map(|name| TargetId::debian(name.strip_prefix("linux-image-")?).ok())
        .collect();
    let wanted: BTreeSet<String> = ids.iter().flat_map(packages).collect();
    let held = versions(&wanted)?;
    let mut available: Vec<Available> = ids
        .into_iter()
        .filter_map(|id| describe(id, &held))
        .collect();
    if available.is_empty() {
        return Err(Error::NotInArchive {
            target: "debian".to_owned(),
            package: "linux-image-*-amd64".to_owned(),
        });
    }
    available.sort_by(|left, right| {
        version::compare(&left.package_version, &right.package_version)
            .then_with(|| version::compare(left.id.release(), right.id.release()))
    });
    Ok(available)
}

/// Turns what a user typed into one target. `latest` and `oldest` look at kernels that can be imported, of the
/// series that is named, or else of the suite's own: a newer one is a backport that nobody gets by default.
///
/// # Errors
/// Those of [`list`]; an exact name is returned as it is, without a look at the archive.
pub fn resolve(spec: &TargetSpec) -> Result<TargetId, Error> {
    match spec {
        TargetSpec::Exact(id) => Ok(id.clone()),
        TargetSpec::Alias(alias) => choose(alias, &list()?),
    }
}

fn choose(alias: &Alias, available: &[Available]) -> Result<TargetId, Error> {
    let complete =
        |entry: &&Available| entry.id.flavour() == alias.flavour && entry.missing.is_empty();
    let mut candidates: Vec<&Available> = available.iter().filter(complete).collect();
    let first = candidates.first().map(|entry| entry.id.series());
    if let Some(series) = alias.series.as_deref().or(first) {
        candidates.retain(|entry| entry.id.series() == series);
    }
    let chosen = if alias.is_latest {
        candidates.last()
    } else {
        candidates.first()
    };
    chosen
        .map(|entry| entry.id.clone())
        .ok_or_else(|| Error::NotInArchive {
            target: alias.to_string(),
            package: format!(
                "linux-image-*{} with matching source",
                alias.flavour.suffix()
            ),
        })
}

/// The packages of one target, of one and the same version.
pub(crate) fn packages(id: &TargetId) -> [String; 4] {
    [
        format!("linux-image-{}", id.release()),
        format!("linux-headers-{}", id.release()),
        format!("linux-headers-{}-common", id.abi()),
        format!("linux-source-{}", id.series()),
    ]
}

fn describe(id: TargetId, held: &Versions) -> Option<Available> {
    let [image, rest @ ..] = packages(&id);
    let mut candidates: Vec<&String> = held.get(&image)?.iter().collect();
    candidates.sort_by(|left, right| version::compare(left, right));
    let missing = |version: &str| -> Vec<String> {
        let lacks = |package: &&String| {
            !held
                .get(*package)
                .is_some_and(|versions| versions.contains(version))
        };
        rest.iter().filter(lacks).cloned().collect()
    };
    let complete = candidates
        .iter()
        .rev()
        .find(|version| missing(version).is_empty());
    let package_version = (*complete.or(candidates.last())?).clone();
    let missing = missing(&package_version);
    Some(Available {
        id,
        package_version,
        missing,
    })
}

/// Finds the one package version that an import of `id` uses.
pub(crate) fn find(id: &TargetId) -> Result<String, Error> {
    let names = packages(id);
    let held = versions(&names.iter().cloned().collect())?;
    let absent = |package: String| Error::NotInArchive {
        target: id.to_string(),
        package,
    };
    let [image, ..] = names;
    let found = describe(id.clone(), &held).ok_or_else(|| absent(image))?;
    match found.missing.first() {
        None => Ok(found.package_version),
        Some(package) => Err(absent(format!(
            "{package} in version {}",
            found.package_version
        ))),
    }
}

/// The kbuild package for a kernel of `package_version`: the same version, else the nearest newer one, which serves
/// as well (its headers package depends on `>=`).
pub(crate) fn find_kbuild(id: &TargetId, package_version: &str) -> Result<(String, String), Error> {
    let name = id.kbuild();
    let held = versions(&BTreeSet::from([name.clone()]))?;
    let nearest = held
        .get(&name)
        .into_iter()
        .flatten()
        .filter(|candidate| version::compare(candidate, package_version).is_ge())
        .min_by(|left, right| version::compare(left, right));
    match nearest {
        Some(version) => Ok((name, version.clone())),
        None => Err(Error::NotInArchive {
            target: id.to_string(),
            package: format!("{name} in version {package_version} or newer"),
        }),
    }
}

fn versions(packages: &BTreeSet<String>) -> Result<Versions, Error> {
    let text = output(
        "ask the archive for versions",
        command("apt-cache").arg("madison").arg("--").args(packages),
        "apt",
    )?;
    Ok(parse_madison(&text))
}

/// `NAME | VERSION | SOURCE` per line; a line that names a source package index is none of ours.
fn parse_madison(text: &str) -> Versions {
    let mut versions = Versions::new();
    for line in text.lines() {
        let mut fields = line.split('|').map(str::trim);
        let (Some(name), Some(version), Some(origin)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if origin.ends_with("Packages") && is_version(version) {
            versions
                .entry(name.to_owned())
                .or_default()
                .insert(version.to_owned());
        }
    }
    versions
}

/// Versions become file names and command arguments.
fn is_version(text: &str) -> bool {
    let clean =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'~' | b'-' | b':');
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.len() <= 64
        && text.bytes().all(clean)
}

/// Looks up the size and digest of one package.
pub(crate) fn show(name: &str, version: &str) -> Result<PackageFile, Error> {
    let text = output(
        &format!("look up {name} {version}"),
        command("apt-cache").args(["show", "--no-all-versions", &format!("{name}={version}")]),
        "apt",
    )?;
    parse_show(&text)
        .filter(|file| file.name == name && file.version == version)
        .ok_or_else(|| Error::NotInArchive {
            target: format!("version {version}"),
            package: name.to_owned(),
        })
}

fn parse_show(text: &str) -> Option<PackageFile> {
    // The installed package's status record has no SHA256 field; only records of the archive do.
    text.split("\n\n").find_map(|record| {
        let field = |name: &str| {
            record
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let sha256 = field("SHA256")?.trim();
        let digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        digest.then_some(())?;
        Some(PackageFile {
            name: field("Package")?.to_owned(),
            version: field("Version")?.to_owned(),
            architecture: field("Architecture")?.to_owned(),
            sha256: sha256.to_ascii_lowercase(),
            bytes: field("Size")?.trim().parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MADISON: &str = "\
linux-image-6.1.0-50-cloud-amd64 |  6.1.176-1 | http://deb.debian.org/debian bookworm/main amd64 Packages
linux-image-6.1.0-50-cloud-amd64 |  6.1.176-1 | http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
linux-headers-6.1.0-50-cloud-amd64 |  6.1.176-1 | http://deb.debian.org/debian bookworm/main amd64 Packages
linux-headers-6.1.0-50-common |  6.1.176-1 | http://deb.debian.org/debian bookworm/main amd64 Packages
linux-image-6.1.0-52-cloud-amd64 |  6.1.183-1 | http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
linux-source-6.1 |  6.1.192-2 | http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
linux-source-6.1 |  6.1.176-1 | http://deb.debian.org/debian bookworm/main amd64 Packages
     linux |  6.1.176-1 | http://deb.debian.org/debian bookworm/main Sources
nonsense
";

    fn id(release: &str) -> TargetId {
        TargetId::debian(release).unwrap()
    }

    fn entry(release: &str, package_version: &str, missing: &[&str]) -> Available {
        Available {
            id: id(release),
            package_version: package_version.to_owned(),
            missing: missing.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn reads_versions_once_however_many_suites_hold_them() {
        let versions = parse_madison(MADISON);
        assert_eq!(versions["linux-image-6.1.0-50-cloud-amd64"].len(), 1);
        assert_eq!(versions["linux-source-6.1"].len(), 2);
        assert!(!versions.contains_key("linux"));
    }

    #[test]
    fn refuses_versions_that_are_no_versions() {
        let hostile =
            "linux-source-6.1 | ../../etc | x Packages\nlinux-source-6.1 | --help | x Packages\n";
        assert!(parse_madison(hostile).is_empty());
    }

    #[test]
    fn an_image_without_its_source_is_listed_with_what_is_missing() {
        let versions = parse_madison(MADISON);
        let complete = describe(id("6.1.0-50-cloud-amd64"), &versions).unwrap();
        assert_eq!(
            (complete.package_version.as_str(), complete.missing.len()),
            ("6.1.176-1", 0)
        );
        let incomplete = describe(id("6.1.0-52-cloud-amd64"), &versions).unwrap();
        assert_eq!(
            incomplete.missing.last().map(String::as_str),
            Some("linux-source-6.1")
        );
        assert_eq!(describe(id("6.1.0-99-cloud-amd64"), &versions), None);
    }

    #[test]
    fn aliases_choose_importable_kernels_of_the_own_series() {
        let available = [
            entry("6.1.0-47-cloud-amd64", "6.1.170-3", &[]),
            entry("6.1.0-50-amd64", "6.1.176-1", &[]),
            entry("6.1.0-55-cloud-amd64", "6.1.192-1", &[]),
            entry("6.1.0-57-cloud-amd64", "6.1.193-1", &["linux-source-6.1"]),
            entry("6.12.9+deb12-cloud-amd64", "6.12.9-1", &[]),
        ];
        let pick = |spec: &str, available: &[Available]| match spec.parse().unwrap() {
            TargetSpec::Alias(alias) => choose(&alias, available).map(|id| id.to_string()),
            TargetSpec::Exact(id) => Ok(id.to_string()),
        };
        for (alias, release) in [
            ("debian:latest-cloud", "6.1.0-55-cloud-amd64"),
            ("debian:oldest-cloud", "6.1.0-47-cloud-amd64"),
            ("debian:latest-6.12-cloud", "6.12.9+deb12-cloud-amd64"),
        ] {
            assert_eq!(
                pick(alias, &available).unwrap(),
                format!("debian:{release}")
            );
        }
        assert!(pick("debian:latest-6.12-amd64", &available).is_err());
        assert!(pick("debian:latest-amd64", &[]).is_err());
    }

    #[test]
    fn reads_the_archive_record_and_not_the_installed_one() {
        let digest = "ef".repeat(32);
        let text = format!(
            "Package: a\nVersion: 1\nArchitecture: amd64\nStatus: install ok installed\n\n\
             Package: a\nVersion: 1\nArchitecture: amd64\nDescription: text\n more\nSize: 42\nSHA256: {digest}\n"
        );
        let file = parse_show(&text).unwrap();
        assert_eq!((file.bytes, file.sha256), (42, digest));
    }

    #[test]
    fn refuses_a_record_without_a_whole_digest() {
        assert_eq!(
            parse_show("Package: a\nVersion: 1\nArchitecture: all\nSize: 1\nSHA256: ef\n"),
            None
        );
        assert_eq!(parse_show(""), None);
    }
}
