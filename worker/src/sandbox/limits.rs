//! How much of anything a step may use.

use std::{fs, time::Duration};

/// How much of anything a step may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time by the wall clock; CPU time of any one process has the same limit.
    pub wall: Duration,
    /// Memory in bytes: of each process in the local sandbox (address space),
    /// of all together in docker.
    pub memory_bytes: u64,
    /// Size of any file it writes, in bytes.
    pub file_bytes: u64,
    /// Processes at a time.
    pub processes: u64,
    /// What it may print, in bytes.
    pub output_bytes: u64,
}

impl Default for Limits {
    /// Ample for compiling kernel units, little for anything else.
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(900),
            memory_bytes: 4 << 30,
            file_bytes: 512 << 20,
            processes: 512,
            output_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// `prlimit` and its options. Nothing is raised above what this process has.
    pub(super) fn prlimit(&self) -> Vec<String> {
        let have = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let wanted = [
            ("--as", "Max address space", self.memory_bytes),
            ("--cpu", "Max cpu time", self.wall.as_secs().max(1)),
            ("--fsize", "Max file size", self.file_bytes),
            ("--nproc", "Max processes", self.processes),
            ("--core", "Max core file size", 0),
        ];
        let mut argv = vec!["prlimit".to_owned()];
        argv.extend(wanted.iter().map(|(option, name, value)| {
            let value = hard_limit(&have, name).map_or(*value, |hard| hard.min(*value));
            format!("{option}={value}:{value}")
        }));
        argv
    }
}

/// A hard limit out of `/proc/self/limits`; nothing if it is unlimited.
fn hard_limit(limits: &str, name: &str) -> Option<u64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_limit_is_the_second_number_of_its_line() {
        let text = "Limit  Soft Limit  Hard Limit  Units\n\
                    Max cpu time              unlimited            unlimited            seconds\n\
                    Max processes             100                  200                  processes\n";
        assert_eq!(hard_limit(text, "Max processes"), Some(200));
        assert_eq!(hard_limit(text, "Max cpu time"), None);
        assert_eq!(hard_limit(text, "Max file size"), None);
    }
}
