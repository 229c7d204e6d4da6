//! A target's id, as others name that kernel.

/// The kernel of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel<'a> {
    /// The distribution, for people.
    pub(crate) vendor: &'a str,
    /// What `uname -r` says there.
    pub(crate) release: &'a str,
    /// The ecosystem in OSV.
    pub(crate) ecosystem: &'static str,
    /// The package in that ecosystem.
    pub(crate) package: String,
    /// Its package URL, if there is a type for it.
    pub(crate) purl: Option<String>,
}

/// The kernel of a target, for example of `debian:6.1.0-50-cloud-amd64`. Debian
/// names the package of its image after the kernel's release.
pub(crate) fn of_target(target: &str) -> Kernel<'_> {
    match target.split_once(':') {
        Some(("debian", release)) => {
            let package = format!("linux-image-{release}");
            Kernel {
                vendor: "Debian",
                release,
                ecosystem: if release.starts_with("6.1.") {
                    "Debian:12"
                } else {
                    "Debian"
                },
                purl: Some(format!("pkg:deb/debian/{package}")),
                package,
            }
        }
        other => Kernel {
            vendor: "Linux",
            release: other.map_or(target, |(_, release)| release),
            ecosystem: "Linux",
            package: "Kernel".to_owned(),
            purl: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_debian_is_the_package_of_its_image() {
        let kernel = of_target("debian:6.1.0-50-cloud-amd64");
        assert_eq!(kernel.package, "linux-image-6.1.0-50-cloud-amd64");
        assert_eq!(kernel.ecosystem, "Debian:12");
        assert_eq!(kernel.release, "6.1.0-50-cloud-amd64");
    }

    #[test]
    fn a_target_of_nobody_we_know_is_a_linux_kernel() {
        for (target, release) in [("other:6.6.1", "6.6.1"), ("6.6.1", "6.6.1")] {
            let kernel = of_target(target);
            assert_eq!((kernel.ecosystem, kernel.release), ("Linux", release));
            assert_eq!(kernel.purl, None);
        }
    }
}
