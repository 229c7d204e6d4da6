//! `resplice-objdiff diff` and `delta`.

use std::fmt::Display;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::Args;
use owo_colors::{OwoColorize, Style};
use resplice_objdiff::delta::{UnitInput, write_delta};
use resplice_objdiff::diff::diff_unit;
use resplice_objdiff::plan::{Outcome, Plan, UnitPlan};
use resplice_objdiff::symvers::Symvers;

use super::read;

/// Compare a unit before and after a change.
#[derive(Args)]
pub struct DiffArgs {
    /// The unit before the change, compiled exactly as the kernel was.
    #[arg(long = "ref", value_name = "FILE")]
    reference: PathBuf,
    /// The unit before the change, with -ffunction-sections -fdata-sections.
    #[arg(long, value_name = "FILE")]
    pre: PathBuf,
    /// The unit after the change, with the same flags.
    #[arg(long, value_name = "FILE")]
    post: PathBuf,
    /// The unit's source path, for messages.
    #[arg(long, default_value = "unit")]
    name: String,
    /// Machine-readable plan.
    #[arg(long)]
    json: bool,
}

/// Write the delta object of one kernel object.
#[derive(Args)]
pub struct DeltaArgs {
    /// The update's id in the kernel: a-z, 0-9 and _.
    #[arg(long)]
    id: String,
    /// "vmlinux" or the module's name.
    #[arg(long, default_value = "vmlinux")]
    object: String,
    /// Module.symvers of the kernel.
    #[arg(long, value_name = "FILE")]
    symvers: PathBuf,
    /// Where to write the delta.
    #[arg(long, short)]
    out: PathBuf,
    /// Machine-readable plan.
    #[arg(long)]
    json: bool,
    /// Units: NAME=REF,PRE,POST.
    #[arg(required = true)]
    units: Vec<UnitArgs>,
}

#[derive(Clone)]
struct UnitArgs {
    name: String,
    files: [PathBuf; 3],
}

impl FromStr for UnitArgs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, files) = text.split_once('=').ok_or("write NAME=REF,PRE,POST")?;
        let files: Vec<PathBuf> = files.split(',').map(PathBuf::from).collect();
        let files = files
            .try_into()
            .map_err(|_| "write three files, REF,PRE,POST")?;
        Ok(Self {
            name: name.to_owned(),
            files,
        })
    }
}

/// Runs `diff`: exit code 0 if there is something to replace or nothing to
/// do, 1 if something is refused.
pub fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let plan = diff_unit(
        &args.name,
        &read(&args.reference)?,
        &read(&args.pre)?,
        &read(&args.post)?,
    )?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        show(&plan);
    }
    Ok(code(plan.outcome()))
}

/// Runs `delta`: exit code as for `diff`; the file is written only if there is
/// something to replace.
pub fn delta(args: &DeltaArgs) -> Result<ExitCode> {
    let text = std::fs::read_to_string(&args.symvers)
        .with_context(|| format!("read {}", args.symvers.display()))?;
    let symvers = Symvers::parse(&text)?;
    let mut files = Vec::new();
    for unit in &args.units {
        let [reference, pre, post] = &unit.files;
        files.push([read(reference)?, read(pre)?, read(post)?]);
    }
    let units: Vec<UnitInput<'_>> = args
        .units
        .iter()
        .zip(&files)
        .map(|(unit, [reference, pre, post])| UnitInput {
            touched: None,
            declared: &[],
            name: &unit.name,
            reference,
            pre,
            post,
        })
        .collect();
    let delta = write_delta(&args.id, &args.object, &units, &symvers)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&delta.plan)?);
    } else {
        show_all(&delta.plan);
    }
    if let Some(bytes) = &delta.bytes {
        std::fs::write(&args.out, bytes)
            .with_context(|| format!("write {}", args.out.display()))?;
        if !args.json {
            println!("{}: {} bytes", args.out.display(), bytes.len());
        }
    }
    Ok(code(delta.plan.outcome()))
}

fn code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Replace | Outcome::Nothing => ExitCode::SUCCESS,
        Outcome::Refused | Outcome::NeedsCode => ExitCode::from(1),
    }
}

fn show_all(plan: &Plan) {
    for unit in &plan.units {
        show(unit);
    }
}

fn paint(text: impl Display, style: Style) -> String {
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if coloured {
        text.style(style).to_string()
    } else {
        text.to_string()
    }
}

fn show(plan: &UnitPlan) {
    println!("{}", paint(&plan.name, Style::new().bold()));
    for function in &plan.replaced {
        println!(
            "  {} {}  {} -> {} bytes: {}",
            paint("replace", Style::new().green()),
            function.name,
            function.old_size,
            function.new_size,
            function.reason
        );
        if !function.callers.is_empty() {
            println!("          used by {}", function.callers.join(", "));
        }
    }
    for name in &plan.added {
        println!("  {}     {name}", paint("add", Style::new().green()));
    }
    for name in &plan.removed {
        println!("  {}  {name}", paint("remove", Style::new().yellow()));
    }
    for data in &plan.data_added {
        println!(
            "  {}     {}  {} bytes in {}",
            paint("add", Style::new().green()),
            data.name,
            data.size,
            data.section
        );
    }
    for name in &plan.exit_changed {
        println!(
            "  {}    {name} (exit code)",
            paint("note", Style::new().yellow())
        );
    }
    for refusal in &plan.refused {
        println!("  {}  {refusal}", paint("refuse", Style::new().red()));
    }
    if plan.outcome() == Outcome::Nothing {
        println!("  nothing to replace");
    }
}
