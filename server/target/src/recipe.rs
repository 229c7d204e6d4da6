//! What a build needs to see and run, as data: any sandbox can carry it out.

use std::path::{Path, PathBuf};

/// Where the kernel source is mounted, read-only except for a patched copy.
pub const SANDBOX_SOURCE: &str = "/resplice/source";
/// Where the prepared build tree, or an overlay of it, is mounted.
pub const SANDBOX_BUILD: &str = "/resplice/build";
/// Where an external module's directory is mounted, writable.
pub const SANDBOX_MODULE: &str = "/resplice/module";

/// A directory of the host and where a build sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host.
    pub host: PathBuf,
    /// Path inside the sandbox.
    pub at: &'static str,
    /// What a build may do there.
    pub access: Access,
}

/// What a build may do with a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    ReadOnly,
    /// Write through to the host.
    Write,
    /// Write into an overlay of the job's own; the host's directory stays as it is.
    Overlay,
}

/// One build step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What has to be mounted.
    pub mounts: Vec<Mount>,
    /// The command, `make` and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(&'static str, &'static str)>,
}

/// The environment of every build: nothing of it differs between machines.
pub(crate) fn environment() -> Vec<(&'static str, &'static str)> {
    vec![
        ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
        ("HOME", "/tmp"),
        ("LC_ALL", "C"),
        ("KBUILD_BUILD_USER", "resplice"),
        ("KBUILD_BUILD_HOST", "resplice"),
    ]
}

/// Arguments for `bwrap` that show a build the host's toolchain read-only, and no network, home or device.
///
/// As root no user namespace is made: none is needed, and inside a chroot the kernel refuses one.
/// Mounts of a [`Recipe`] and the command follow these arguments.
pub fn base_system() -> Vec<String> {
    let mut arguments: Vec<&str> = if is_root() {
        vec![
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]
    } else {
        vec!["--unshare-all"]
    };
    arguments.extend([
        "--die-with-parent",
        "--new-session",
        "--hostname",
        "resplice",
        "--clearenv",
    ]);
    arguments.extend(["--ro-bind", "/usr", "/usr"]);
    for (target, link) in [
        ("usr/bin", "/bin"),
        ("usr/sbin", "/sbin"),
        ("usr/lib", "/lib"),
        ("usr/lib64", "/lib64"),
    ] {
        arguments.extend(["--symlink", target, link]);
    }
    // awk, among others, is a link through here.
    arguments.extend(["--ro-bind", "/etc/alternatives", "/etc/alternatives"]);
    arguments.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// Whether this process is root, without a system call that would need unsafe code.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

impl Recipe {
    /// Arguments for `bwrap` after [`base_system`]: mounts, environment and command.
    ///
    /// `overlay` is where the job has mounted its overlay of the build tree; a recipe with an
    /// [`Access::Overlay`] mount cannot be run without one.
    pub fn bwrap_arguments(&self, overlay: Option<&Path>) -> Vec<String> {
        let mut arguments = Vec::new();
        for mount in &self.mounts {
            let (flag, host) = match (mount.access, overlay) {
                (Access::Write, _) => ("--bind", mount.host.as_path()),
                (Access::Overlay, Some(overlay)) => ("--bind", overlay),
                (Access::ReadOnly | Access::Overlay, _) => ("--ro-bind", mount.host.as_path()),
            };
            arguments.extend([
                flag.to_owned(),
                host.to_string_lossy().into_owned(),
                mount.at.to_owned(),
            ]);
        }
        for (name, value) in &self.environment {
            arguments.extend([
                "--setenv".to_owned(),
                (*name).to_owned(),
                (*value).to_owned(),
            ]);
        }
        arguments.extend([
            "--chdir".to_owned(),
            SANDBOX_BUILD.to_owned(),
            "--".to_owned(),
        ]);
        arguments.extend(self.argv.iter().cloned());
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(access: Access) -> Recipe {
        Recipe {
            mounts: vec![Mount {
                host: "/cache/build".into(),
                at: SANDBOX_BUILD,
                access,
            }],
            argv: vec!["make".to_owned(), "net/ipv6/seg6.o".to_owned()],
            environment: vec![("LC_ALL", "C")],
        }
    }

    #[test]
    fn an_overlay_takes_the_place_of_the_shared_tree() {
        let arguments = recipe(Access::Overlay)
            .bwrap_arguments(Some(Path::new("/job/merged")))
            .join(" ");
        assert!(
            arguments.starts_with("--bind /job/merged /resplice/build "),
            "{arguments}"
        );
    }

    #[test]
    fn the_shared_tree_is_never_writable_without_an_overlay() {
        for access in [Access::Overlay, Access::ReadOnly] {
            let arguments = recipe(access).bwrap_arguments(None).join(" ");
            assert!(
                arguments.starts_with("--ro-bind /cache/build /resplice/build "),
                "{arguments}"
            );
        }
    }

    #[test]
    fn a_build_has_no_network() {
        let arguments = base_system();
        assert!(
            arguments
                .iter()
                .any(|argument| argument == "--unshare-net" || argument == "--unshare-all")
        );
    }
}
