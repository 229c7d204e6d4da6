//! Numbers of a benchmark, and where they come from.

use super::table::Table;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fs;

/// Kernel clock ticks a second in `/proc/*/stat`: fixed on x86.
const TICKS: f64 = 100.0;

/// One number, compared with another of the same unit if there is one.
#[derive(Debug, Clone, Serialize)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what: `s`, `MiB`, `us`, ...
    pub unit: &'static str,
    /// What it is to be compared with.
    pub against: Option<f64>,
    /// `value` by `against`.
    pub ratio: Option<f64>,
    /// What `value` and `against` are, in words.
    pub note: String,
}

impl Measure {
    /// A number by itself.
    pub fn alone(name: &str, value: f64, unit: &'static str, note: &str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            against: None,
            ratio: None,
            note: note.to_owned(),
        }
    }

    /// Compares it.
    #[must_use]
    pub fn against(mut self, against: f64) -> Self {
        self.against = Some(against);
        self.ratio = (against > 0.0).then(|| self.value / against);
        self
    }
}

/// Numbers as a table.
pub fn table(measures: &[Measure]) -> Table {
    let mut table = Table::new(["name", "value", "unit", "against", "ratio", "what"], 1);
    for measure in measures {
        let number =
            |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
        table.row([
            &measure.name,
            &number(Some(measure.value)),
            measure.unit,
            &number(measure.against),
            &number(measure.ratio),
            &measure.note,
        ]);
    }
    table
}

/// The middle one of some numbers; 0 if there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// CPU time in seconds of this process and of the children that it has waited for.
///
/// # Errors
/// If `/proc` is not what it should be.
pub fn cpu_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    ticks(&text)
        .map(|ticks| ticks as f64 / TICKS)
        .context("/proc/self/stat has no CPU times")
}

/// utime, stime, cutime and cstime: fields 14 to 17; the command's name may
/// hold anything, but it ends at the last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    let times: Vec<u64> = times.map_while(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}

/// The most memory that this process has had, in MiB.
///
/// # Errors
/// If `/proc` is not what it should be.
pub fn peak_mib() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<f64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    Ok(kib.context("/proc/self/status has no VmHWM")? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "1 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 5";
        assert_eq!(ticks(stat), Some(4330));
        assert_eq!(ticks("1 (a) S 1"), None);
        assert!(cpu_seconds().is_ok() && peak_mib().is_ok());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
