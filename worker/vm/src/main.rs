//! `resplice-vm`: boots a stock kernel by hand and runs a command in it.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use resplice_vm::{GuestFile, Machine, SnapshotCache, Vm, kernel_problems, quote};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Boot stock kernels in QEMU and run commands inside.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Boot, run COMMAND in the guest's shell, print its output and the
    /// kernel's log; exits with COMMAND's exit code.
    Run(Run),
}

#[derive(Args)]
struct Run {
    /// bzImage or ELF vmlinux.
    #[arg(long)]
    kernel: PathBuf,
    /// The kernel's …/lib/modules/RELEASE.
    #[arg(long)]
    modules_dir: Option<PathBuf>,
    /// QEMU's CPU model: max, EPYC, Skylake-Server-v4.
    #[arg(long, default_value = "max")]
    cpu: String,
    /// Virtual CPUs.
    #[arg(long, default_value_t = 1)]
    smp: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 512)]
    mem: u32,
    /// A host file for the guest.
    #[arg(long, value_name = "HOST:GUEST")]
    file: Vec<String>,
    /// A host program, with its shared libraries.
    #[arg(long, value_name = "HOST:GUEST")]
    program: Vec<String>,
    /// More words for the kernel's command line.
    #[arg(long)]
    append: Vec<String>,
    /// A kernel module to load at boot, with its dependencies.
    #[arg(long = "load")]
    load: Vec<String>,
    /// A kernel module for modprobe.
    #[arg(long = "provide")]
    provide: Vec<String>,
    /// Host port that the guest reaches as 10.0.2.100:80.
    #[arg(long, value_name = "PORT")]
    net: Option<u16>,
    /// Restore from (or make) a snapshot in this cache directory.
    #[arg(long, value_name = "DIR")]
    snapshots: Option<PathBuf>,
    /// Seconds that COMMAND may take.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Print the whole kernel log instead of its new lines only.
    #[arg(long)]
    full_log: bool,
    /// One argument is a shell script; several are a command's words.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let Verb::Run(run) = Cli::parse().command;
    match execute(&run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("resplice-vm: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn execute(run: &Run) -> Result<ExitCode> {
    let begun = Instant::now();
    let vm = start(run)?;
    eprintln!("[guest is up after {:.2} s]", begun.elapsed().as_secs_f64());
    vm.push(&job_files(run)?)?;
    let before = vm.kernel_log();
    let script = match run.command.as_slice() {
        [script] => script.clone(),
        words => words
            .iter()
            .map(|word| quote(word))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let result = vm.run(&script, Duration::from_secs(run.timeout));
    if let Ok(output) = &result {
        std::io::stdout().write_all(&output.stdout)?;
        std::io::stdout().flush()?;
        std::io::stderr().write_all(&output.stderr)?;
    }
    let log = vm.kernel_log();
    let shown = if run.full_log {
        &log
    } else {
        log.strip_prefix(&before).unwrap_or(&log)
    };
    eprintln!("[kernel log]\n{}", shown.trim_end());
    for line in kernel_problems(shown) {
        eprintln!("[problem] {line}");
    }
    let output = result?;
    eprintln!(
        "[exit code {} after {:.2} s]",
        output.code,
        output.elapsed.as_secs_f64()
    );
    Ok(ExitCode::from(u8::try_from(output.code).unwrap_or(125)))
}

fn start(run: &Run) -> Result<Vm> {
    let mut machine = Machine::new(&run.kernel)
        .cpu(&run.cpu)
        .cpus(run.smp)
        .memory_mib(run.mem);
    if let Some(dir) = &run.modules_dir {
        machine = machine.modules_dir(dir);
    }
    if let Some(port) = run.net {
        machine = machine.network(port);
    }
    for words in &run.append {
        machine = machine.append(words);
    }
    for name in &run.load {
        machine = machine.load_module(name);
    }
    for name in &run.provide {
        machine = machine.provide_module(name);
    }
    Ok(match &run.snapshots {
        Some(cache) => machine.restore(&SnapshotCache::new(cache))?,
        None => machine.boot()?,
    })
}

fn job_files(run: &Run) -> Result<Vec<GuestFile>> {
    let mut files = Vec::new();
    for pair in &run.file {
        let (host, guest) = split(pair)?;
        files.push(GuestFile::from_host(&host, guest)?);
    }
    for pair in &run.program {
        let (host, guest) = split(pair)?;
        files.extend(GuestFile::program(&host, guest)?);
    }
    Ok(files)
}

fn split(pair: &str) -> Result<(PathBuf, &str)> {
    let (host, guest) = pair
        .rsplit_once(':')
        .with_context(|| format!("`{pair}` is not HOST:GUEST"))?;
    Ok((PathBuf::from(host), guest))
}
