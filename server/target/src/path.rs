//! What a file of the kernel's source is to a build.

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// C that may be compiled by itself.
    Unit,
    /// Compiled with every unit that includes it.
    Header,
    /// Assembly, or what the linker or another program reads.
    Assembly,
    /// Makefiles and what else decides how the kernel is built.
    Build,
    /// A device tree.
    DeviceTree,
    /// Takes no part in any x86-64 kernel; why not.
    Idle(&'static str),
    /// None of these.
    Other,
}

impl PathKind {
    /// Of a path from the top of the source.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if let Some(reason) = idle(path) {
            return Self::Idle(reason);
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "c" => Self::Unit,
            "h" => Self::Header,
            "S" => Self::Assembly,
            "dts" | "dtsi" | "dtso" => Self::DeviceTree,
            _ if name.starts_with("Makefile")
                || name.starts_with("Kconfig")
                || name == "Kbuild"
                || path.starts_with("scripts/") =>
            {
                Self::Build
            }
            _ => Self::Other,
        }
    }
}

fn idle(path: &str) -> Option<&'static str> {
    let (top, rest) = path.split_once('/').unwrap_or(("", path));
    let name = path.rsplit('/').next().unwrap_or(path);
    match top {
        "Documentation" | "LICENSES" => Some("documentation"),
        "tools" => Some("a program of its own, no part of the kernel"),
        "samples" => Some("an example, which no distribution's kernel holds"),
        "arch" if !rest.starts_with("x86/") && rest.contains('/') => Some("another architecture"),
        "" if matches!(rest, "MAINTAINERS" | "CREDITS" | "COPYING" | "README") => {
            Some("documentation")
        }
        _ if name.ends_with("_defconfig") => {
            Some("a configuration that this kernel is not built with")
        }
        _ if name.ends_with(".rst") || name.starts_with("README") => Some("documentation"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::PathKind::{self, *};

    #[test]
    fn files_are_told_apart() {
        for (path, kind) in [
            ("mm/a.c", Unit),
            ("arch/x86/mm/a.c", Unit),
            ("include/a.h", Header),
            ("arch/x86/entry/entry_64.S", Assembly),
            ("fs/Makefile", Build),
            ("arch/Kconfig", Build),
            ("scripts/a.c", Unit),
            ("scripts/a.pl", Build),
            ("drivers/of/a.dts", DeviceTree),
            ("lib/a.data", Other),
        ] {
            assert_eq!(PathKind::of(path), kind, "{path}");
        }
        for path in [
            "Documentation/Makefile",
            "MAINTAINERS",
            "tools/testing/selftests/Makefile",
            "samples/bpf/a.c",
            "arch/arm/boot/dts/a.dts",
            "arch/arm64/Kconfig",
            "arch/x86/configs/x86_64_defconfig",
            "fs/README.md",
        ] {
            assert!(matches!(PathKind::of(path), Idle(_)), "{path}");
        }
    }
}
