//! Names of kernel targets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest release that is accepted: the kernel's own limit (`__NEW_UTS_LEN`).
const RELEASE_MAX: usize = 64;

/// Which build of a kernel version for amd64 it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// `*-cloud-amd64`: virtual machines.
    Cloud,
    /// `*-amd64`: everything else.
    Amd64,
    /// Of one's own configuration, and no package of Debian's.
    Own,
}

impl Flavour {
    /// The ending of the release.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Cloud => "-cloud-amd64",
            Self::Amd64 => "-amd64",
            Self::Own => "-own",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.suffix().trim_start_matches('-'))
    }
}

/// One kernel as it runs somewhere, for instance `debian:6.1.0-50-cloud-amd64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetId {
    release: String,
    flavour: Flavour,
    series: String,
}

impl TargetId {
    /// The target of Debian's kernel `release`, as `uname -r` prints it.
    ///
    /// # Errors
    /// [`Error::InvalidName`] if Debian has no such release names.
    pub fn debian(release: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidName {
            given: format!("debian:{release}"),
        };
        let (base, flavour) = if let Some(base) = release.strip_suffix(Flavour::Cloud.suffix()) {
            (base, Flavour::Cloud)
        } else if let Some(base) = release.strip_suffix(Flavour::Amd64.suffix()) {
            (base, Flavour::Amd64)
        } else {
            return Err(invalid());
        };
        if release.len() > RELEASE_MAX || base.ends_with("-rt") {
            return Err(invalid());
        }
        Ok(Self {
            release: release.to_owned(),
            flavour,
            series: series(base).ok_or_else(invalid)?,
        })
    }

    /// A kernel of one's own configuration (see [`crate::Target::build_own`]): `release` ends in `-own`.
    ///
    /// # Errors
    /// [`Error::InvalidName`] if it is no such release.
    pub fn own(release: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidName {
            given: format!("own:{release}"),
        };
        let base = release.strip_suffix(Flavour::Own.suffix());
        let series = base.and_then(series).ok_or_else(invalid)?;
        if release.len() > RELEASE_MAX {
            return Err(invalid());
        }
        Ok(Self {
            release: release.to_owned(),
            flavour: Flavour::Own,
            series,
        })
    }

    /// What `uname -r` prints there.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The flavour.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The kernel series, such as `6.1`.
    pub fn series(&self) -> &str {
        &self.series
    }

    /// The release without its flavour, as linux-headers-*-common is named.
    pub(crate) fn abi(&self) -> &str {
        self.release
            .strip_suffix(self.flavour.suffix())
            .unwrap_or(&self.release)
    }

    /// Name of the kbuild package: one for a whole series (6.1), or one for each upstream version (6.12, whose
    /// releases carry a `+`).
    pub(crate) fn kbuild(&self) -> String {
        let name = if self.abi().contains('+') {
            self.abi()
        } else {
            self.series()
        };
        format!("linux-kbuild-{name}")
    }
}

/// The series that a release begins with. A release becomes a file name and a command argument: digits, letters, `.`,
/// `+`, `-` and nothing else.
fn series(release: &str) -> Option<String> {
    let clean = release
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'));
    let number = |text: &&str| {
        (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut parts = release.splitn(3, '.');
    let (major, minor) = (parts.next().filter(number)?, parts.next().filter(number)?);
    parts.next().filter(|_| clean)?;
    Some(format!("{major}.{minor}"))
}

impl fmt::Display for TargetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.flavour {
            Flavour::Own => "own",
            Flavour::Cloud | Flavour::Amd64 => "debian",
        };
        write!(formatter, "{from}:{}", self.release)
    }
}

impl FromStr for TargetId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("debian", release)) => Self::debian(release),
            Some(("own", release)) => Self::own(release),
            _ => Err(Error::InvalidName {
                given: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for TargetId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<TargetId> for String {
    fn from(id: TargetId) -> Self {
        id.to_string()
    }
}

/// What a user may type: one kernel, or an alias that the archive resolves (see [`crate::resolve`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSpec {
    /// `debian:RELEASE`.
    Exact(TargetId),
    /// `debian:latest-cloud`, `debian:oldest-amd64`, `debian:latest-6.12-cloud`.
    Alias(Alias),
}

/// One end of a series of kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The newest that can be imported, or the oldest.
    pub is_latest: bool,
    /// Such as `6.12`; the suite's own if there is none.
    pub series: Option<String>,
    /// The flavour.
    pub flavour: Flavour,
}

impl FromStr for TargetSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match alias(text) {
            Some(alias) => Ok(Self::Alias(alias)),
            None => text.parse().map(Self::Exact),
        }
    }
}

fn alias(text: &str) -> Option<Alias> {
    let (end, rest) = text.strip_prefix("debian:")?.split_once('-')?;
    let is_latest = match end {
        "latest" => true,
        "oldest" => false,
        _ => return None,
    };
    let (named, flavour) = match rest.rsplit_once('-') {
        Some((named, flavour)) => (Some(named), flavour),
        None => (None, rest),
    };
    let flavour = match flavour {
        "cloud" => Flavour::Cloud,
        "amd64" => Flavour::Amd64,
        _ => return None,
    };
    // A release has more than a series has.
    let whole = |named: &&str| series(&format!("{named}.0")).as_deref() == Some(named);
    let series = match named {
        Some(named) => Some(Some(named).filter(whole)?.to_owned()),
        None => None,
    };
    Some(Alias {
        is_latest,
        series,
        flavour,
    })
}

impl fmt::Display for TargetSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => id.fmt(formatter),
            Self::Alias(alias) => alias.fmt(formatter),
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.is_latest { "latest" } else { "oldest" };
        write!(formatter, "debian:{end}-")?;
        if let Some(series) = &self.series {
            write!(formatter, "{series}-")?;
        }
        formatter.write_str(match self.flavour {
            Flavour::Cloud => "cloud",
            Flavour::Amd64 => "amd64",
            Flavour::Own => "own",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in [
            "debian:6.1.0-50-cloud-amd64",
            "debian:6.1.0-47-amd64",
            "debian:6.12.117+deb12-cloud-amd64",
            "own:6.1.170-debug-0123456789ab-own",
        ] {
            let id: TargetId = name.parse().unwrap();
            assert_eq!(id.to_string(), name);
            assert_eq!(
                serde_json::from_str::<TargetId>(&serde_json::to_string(&id).unwrap()).unwrap(),
                id
            );
        }
    }

    #[test]
    fn takes_a_release_apart() {
        let id: TargetId = "debian:6.12.117+deb12-cloud-amd64".parse().unwrap();
        assert_eq!(
            (id.series(), id.abi(), id.flavour()),
            ("6.12", "6.12.117+deb12", Flavour::Cloud)
        );
        let id: TargetId = "debian:6.1.0-50-amd64".parse().unwrap();
        assert_eq!(
            (id.series(), id.abi(), id.flavour()),
            ("6.1", "6.1.0-50", Flavour::Amd64)
        );
    }

    #[test]
    fn knows_which_kbuild_package_serves_a_kernel() {
        let name = |release| TargetId::debian(release).unwrap().kbuild();
        assert_eq!(name("6.1.0-50-cloud-amd64"), "linux-kbuild-6.1");
        assert_eq!(name("6.12.117+deb12-amd64"), "linux-kbuild-6.12.117+deb12");
    }

    #[test]
    fn refuses_names_that_would_escape_the_cache_or_reach_a_command() {
        let long = format!("debian:6.1.{}-amd64", "1".repeat(80));
        for name in [
            "",
            "debian:",
            "debian:-amd64",
            "6.1.0-50-amd64",
            "fedora:6.1.0-50-amd64",
            "debian:../6.1.0-amd64",
            "debian:6.1.0/../../x-amd64",
            "debian:6.1.0-50-rt-amd64",
            "debian:6.1.0-50-arm64",
            "debian:--help.1.2-amd64",
            "debian:6.1-amd64",
            "debian:6.1.0-50 -amd64",
            "debian:6.1.0\n-amd64",
            "debian:6.1.170-debug-own",
            "own:6.1.0-50-amd64",
            "own:../6.1.170-own",
            "own:6.1.170 -own",
            "own:-own",
            &long,
        ] {
            assert!(name.parse::<TargetId>().is_err(), "{name}");
        }
    }

    #[test]
    fn understands_aliases() {
        for name in [
            "debian:latest-cloud",
            "debian:oldest-cloud",
            "debian:latest-amd64",
            "debian:latest-6.12-cloud",
            "debian:oldest-6.1-amd64",
            "debian:6.1.0-50-amd64",
        ] {
            assert_eq!(name.parse::<TargetSpec>().unwrap().to_string(), name);
        }
        for name in [
            "latest-rt",
            "latest-6-cloud",
            "latest-6.1.0-cloud",
            "oldest-x-cloud",
        ] {
            assert!(
                format!("debian:{name}").parse::<TargetSpec>().is_err(),
                "{name}"
            );
        }
    }
}
