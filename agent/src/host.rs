//! Facts about this host: its kernel, its boot, its name.

use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, time::Duration};

/// What the agent needs to know about the machine it runs on.
#[derive(Debug, Clone)]
pub struct Host {
    /// `uname -n`.
    pub name: String,
    /// `uname -r`.
    pub release: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// Since boot.
    pub uptime: Duration,
}

impl Host {
    /// Reads the facts from /proc.
    ///
    /// # Errors
    /// If /proc is not mounted or holds something else than expected.
    pub fn read() -> Result<Self> {
        let proc = Path::new("/proc");
        let uptime = line(&proc.join("uptime"))?;
        let seconds: f64 = uptime
            .split_whitespace()
            .next()
            .and_then(|text| text.parse().ok())
            .context("/proc/uptime holds no number")?;
        let uptime = Duration::try_from_secs_f64(seconds).context("/proc/uptime is negative")?;
        let kernel = proc.join("sys/kernel");
        Ok(Self {
            name: line(&kernel.join("hostname"))?,
            release: line(&kernel.join("osrelease"))?,
            boot_id: line(&kernel.join("random/boot_id"))?,
            uptime,
        })
    }

    /// `uname -s` and `uname -v`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn build() -> Result<[String; 2]> {
        let kernel = Path::new("/proc/sys/kernel");
        Ok([
            line(&kernel.join("ostype"))?,
            line(&kernel.join("version"))?,
        ])
    }

    /// The target id of the running kernel. Debian's kernels are what targets
    /// are imported from; others are named at enrolment.
    #[must_use]
    pub fn target(&self) -> String {
        format!("debian:{}", self.release)
    }
}

fn line(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("can't read {} (is /proc mounted?)", path.display()))?;
    let text = text.trim().to_owned();
    ensure!(!text.is_empty(), "{} is empty", path.display());
    Ok(text)
}

/// A duration for people: `3 min`, `5 h 20 min`, `12 d 4 h`.
#[must_use]
pub fn spoken(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match minutes {
        0 => format!("{} s", duration.as_secs()),
        1..60 => format!("{minutes} min"),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1440, minutes / 60 % 24),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_running_host_is_read() {
        let host = Host::read().unwrap();
        assert!(host.release.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(host.boot_id.len(), 36);
        assert_eq!(host.target(), format!("debian:{}", host.release));
    }

    #[test]
    fn durations_are_short() {
        let spoken = |s| spoken(Duration::from_secs(s));
        assert_eq!(spoken(7), "7 s");
        assert_eq!(spoken(180), "3 min");
        assert_eq!(spoken(19200), "5 h 20 min");
        assert_eq!(spoken(12 * 86400 + 4 * 3600), "12 d 4 h");
    }
}
