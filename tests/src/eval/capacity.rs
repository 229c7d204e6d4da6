//! How many patches at a time a machine can bear.

use anyhow::{Context, Result};

/// For one patch at a time: compilers of a large unit, the worker with its
/// objects, a guest.
const PER_JOB_BYTES: u64 = 2560 << 20;
/// No process of a job needs as much address space; one that wants more is ill.
const PROCESS_BYTES: u64 = 16 << 30;

/// How many jobs to run, of those that were asked for or of half of the CPUs,
/// and how much address space each of their processes may take.
///
/// # Errors
/// If `/proc` is not what it should be.
pub fn bound(asked: Option<usize>) -> Result<(usize, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let available = field(&text, "MemAvailable:").context("/proc/meminfo has no MemAvailable")?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = asked.unwrap_or(cpus / 2).max(1);
    let fit = fitting(wanted, available);
    if fit < wanted {
        eprintln!(
            "{fit} at a time instead of {wanted}: {} MiB of memory are free, each takes up to {}",
            available >> 20,
            PER_JOB_BYTES >> 20
        );
    }
    Ok((fit, PROCESS_BYTES))
}

fn fitting(wanted: usize, available: u64) -> usize {
    let room = usize::try_from(available / PER_JOB_BYTES).unwrap_or(usize::MAX);
    wanted.min(room.max(1))
}

/// A field of `/proc/meminfo`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_jobs_than_memory_and_never_none() {
        assert_eq!(fitting(8, 6 << 30), 2);
        assert_eq!(fitting(1, 64 << 30), 1);
        assert_eq!(fitting(4, 1 << 20), 1);
        assert_eq!(
            field("MemFree: 1 kB\nMemAvailable:   24 kB\n", "MemAvailable:"),
            Some(24 << 10)
        );
    }
}
