//! `make torture`: thousands of applies and undoes under load.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use resplice_tests::torture::Torture;
use resplice_tests::{CLOUD, target};
use std::time::Instant;

/// Cycles in a row; in between, the kernel's log is looked at.
const STEP: u32 = 20;

fn main() -> Result<()> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cycles = variable("CYCLES").unwrap_or_else(|| "2000".to_owned());
    let cycles: u32 = cycles.parse().context("CYCLES is no number")?;
    let trace = variable("TRACE").is_some();
    let spec = variable("TARGET").unwrap_or_else(|| CLOUD.to_owned());
    let torture = Torture::start(&target(&spec)?, trace)?;
    let clock = Instant::now();
    let mut done = 0;
    if cycles == 0 {
        println!("a minute without the update: {}", torture.cycles(0)?);
    }
    while done < cycles {
        let step = STEP.min(cycles - done);
        let line = torture.cycles(step)?;
        done += step;
        println!("{done}/{cycles} in {:.0?}: {line}", clock.elapsed());
    }
    println!("{cycles} cycles: the answers were right, the log is clean, the text is what it was");
    Ok(())
}
