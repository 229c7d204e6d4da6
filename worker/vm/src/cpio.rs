//! Writer for the `newc` cpio format that the kernel unpacks as initramfs
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Output is a function of the entries alone: owner root, time 0, inode
//! numbers in order of writing.

use std::collections::BTreeSet;

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

/// An archive under construction. Paths are relative to the root or begin
/// with `/`; parent directories are added as needed.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    next_inode: u32,
    present: BTreeSet<String>,
}

impl Archive {
    /// Whether an entry of that path was written.
    pub fn contains(&self, path: &str) -> bool {
        self.present.contains(path.trim_matches('/'))
    }

    /// Adds a directory (0755) and its parents; existing ones are left.
    pub fn directory(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.present.contains(path) {
            return;
        }
        self.parents(path);
        self.entry(path, S_IFDIR | 0o755, (0, 0), &[]);
    }

    /// Adds a regular file with permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, contents: &[u8]) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.entry(path, S_IFREG | (mode & 0o7777), (0, 0), contents);
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, to: &str) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.entry(path, S_IFLNK | 0o777, (0, 0), to.as_bytes());
    }

    /// Adds a character device.
    pub fn character_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        let path = path.trim_matches('/');
        self.parents(path);
        self.entry(path, S_IFCHR | (mode & 0o7777), (major, minor), &[]);
    }

    /// Ends the archive and returns its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.next_inode = 0;
        self.raw("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.next_inode += 1;
        self.present.insert(path.to_owned());
        self.raw(path, mode, device, contents);
    }

    fn raw(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), contents: &[u8]) {
        let links = if mode & S_IFDIR == S_IFDIR { 2 } else { 1 };
        let fields: [u32; 13] = [
            self.next_inode,
            mode,
            0,
            0,
            links,
            0,
            u32::try_from(contents.len()).unwrap_or(u32::MAX),
            0,
            0,
            major,
            minor,
            u32::try_from(name.len() + 1).unwrap_or(u32::MAX),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_small_archive_has_exactly_the_documented_bytes() {
        let mut archive = Archive::default();
        archive.file("/a", 0o644, b"hello");
        let golden = concat!(
            "070701",
            "00000001",
            "000081a4",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000002",
            "00000000",
            "a\0",
            "hello\0\0\0",
            "070701",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000b",
            "00000000",
            "TRAILER!!!\0\0\0\0"
        );
        assert_eq!(String::from_utf8(archive.finish()).unwrap(), golden);
    }

    #[test]
    fn parents_come_before_their_children_and_once() {
        let mut archive = Archive::default();
        archive.file("/usr/bin/x", 0o755, b"");
        archive.symlink("usr/bin/y", "x");
        archive.directory("/usr/bin/");
        assert!(archive.contains("/usr") && archive.contains("usr/bin"));
        let text = String::from_utf8(archive.finish()).unwrap();
        assert_eq!(text.matches("usr\0").count(), 1);
        assert_eq!(text.matches("usr/bin\0").count(), 1);
        assert!(text.find("usr\0").unwrap() < text.find("usr/bin\0").unwrap());
    }

    #[test]
    fn an_independent_reader_lists_what_was_written() {
        let mut archive = Archive::default();
        archive.character_device("/dev/console", 0o600, 5, 1);
        archive.file("/etc/odd", 0o600, b"123");
        archive.symlink("/bin/sh", "busybox");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.cpio");
        std::fs::write(&path, archive.finish()).unwrap();
        let out = std::process::Command::new("busybox")
            .args(["cpio", "-itv", "-F"])
            .arg(&path)
            .output()
            .expect("busybox is needed by every test of this crate");
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(
            text.contains("etc/odd") && text.contains("bin/sh -> busybox"),
            "{text}"
        );
        assert!(
            text.contains("crw-------") && text.contains("dev/console"),
            "{text}"
        );
    }
}
