//! objdiff by itself, in processes of its own.

use crate::gcc;
use crate::job::TIMES;
use anyhow::{Context, Result, ensure};
use resplice_objdiff::diff::diff_unit;
use resplice_tests::eval::measure::{Measure, median, peak_mib};
use resplice_tests::eval::workshop::Workshop;
use resplice_worker::build::Build;
use resplice_worker::compile::{self, Reference, Side};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The unit that is compared with itself.
const LARGE_UNIT: &str = "kernel/sched/core.c";

/// Units on disk, each in a directory.
pub struct Units {
    _root: tempfile::TempDir,
    /// Their directories.
    pub directories: Vec<PathBuf>,
    /// The size of all objects that are read to compare them.
    pub bytes: usize,
}

impl Units {
    /// Compiles them as the kernel was, and with function sections.
    pub async fn compile(build: &Build<'_>, references: &[Reference]) -> Result<Self> {
        let pre = compile::again(build, Side::Pre, references, &[]).await?;
        let root = tempfile::tempdir()?;
        let mut units = Self {
            directories: Vec::new(),
            bytes: 0,
            _root: root,
        };
        for (index, (reference, pre)) in references.iter().zip(&pre).enumerate() {
            let directory = units._root.path().join(index.to_string());
            std::fs::create_dir(&directory)?;
            std::fs::write(directory.join("ref.o"), &reference.object)?;
            std::fs::write(directory.join("pre.o"), pre)?;
            units.bytes += reference.object.len() + 2 * pre.len();
            units.directories.push(directory);
        }
        Ok(units)
    }
}

/// Seconds and peak MiB of a process that compares units with themselves, in the median.
pub fn cost(units: &[PathBuf]) -> Result<(f64, f64)> {
    let (mut seconds, mut mib) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let out = Command::new(std::env::current_exe()?)
            .arg("diff")
            .args(units)
            .output()?;
        ensure!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let said: Value = serde_json::from_slice(&out.stdout)?;
        let number = |name: &str| said.get(name).and_then(Value::as_f64).context("no number");
        seconds.push(number("seconds")?);
        mib.push(number("mib")?);
    }
    Ok((median(seconds), median(mib)))
}

/// objdiff on a large unit against itself.
pub async fn measure(workshop: &Workshop) -> Result<Vec<Measure>> {
    let build = workshop.build()?;
    let references = compile::reference(&build, &[LARGE_UNIT.to_owned()]).await?;
    let reference = references.first().context("no reference object")?;
    let gcc = gcc::seconds(workshop, &build, reference, TIMES).await?;
    let units = Units::compile(&build, &references).await?;
    let (seconds, mib) = cost(&units.directories)?;
    let sizes = units.bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Measure::alone(
            "objdiff",
            seconds,
            "s",
            "kernel/sched/core.c compared with itself, against one bare gcc run of it",
        )
        .against(gcc),
        Measure::alone(
            "objdiff-memory",
            mib,
            "MiB",
            "peak memory of that process, against the size of its three objects",
        )
        .against(sizes),
    ])
}

/// The hidden part: prints how long it took and the process's peak memory.
pub fn with_themselves(units: &[PathBuf]) -> Result<()> {
    let clock = Instant::now();
    for directory in units {
        let read = |name: &str| read(&directory.join(name));
        let (reference, pre) = (read("ref.o")?, read("pre.o")?);
        let name = directory.to_string_lossy();
        let plan = diff_unit(&name, &reference, &pre, &pre)?;
        ensure!(
            plan.replaced.is_empty(),
            "a unit differs from itself: {plan:?}"
        );
    }
    let seconds = clock.elapsed().as_secs_f64();
    println!("{}", json!({ "seconds": seconds, "mib": peak_mib()? }));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}
