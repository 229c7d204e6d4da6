//! `resplice-objdiff semantic`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use resplice_objdiff::diff::diff_unit;
use resplice_objdiff::plan::Plan;
use resplice_objdiff::semantic::{Palette, UnitInput, render, report};

use super::read;

/// Tell what a change means, from debug information.
#[derive(Args)]
pub struct SemanticArgs {
    /// The unit before the change, with -g -ffunction-sections -fdata-sections.
    #[arg(value_name = "PRE")]
    pre: PathBuf,
    /// The unit after the change, with the same flags.
    #[arg(value_name = "POST")]
    post: PathBuf,
    /// The unit before the change, compiled exactly as the kernel was [default: PRE]
    #[arg(long = "ref", value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The unit's source path, for messages and positions.
    #[arg(long, default_value = "unit")]
    name: String,
    /// Machine-readable report.
    #[arg(long)]
    json: bool,
}

/// Runs `semantic`: exit code 0, or 1 if something needs code.
pub fn semantic(args: &SemanticArgs) -> Result<ExitCode> {
    let (pre, post) = (read(&args.pre)?, read(&args.post)?);
    let reference = args.reference.as_deref().map(read).transpose()?;
    let reference = reference.as_deref().unwrap_or(&pre);
    let unit = diff_unit(&args.name, reference, &pre, &post)?;
    let mut report = report(&[UnitInput {
        plan: &unit,
        before: &pre,
        pre: &pre,
        post: &post,
        touched: &[],
    }])?;
    let mut plan = Plan {
        object: args.name.clone(),
        units: vec![unit],
        ..Plan::default()
    };
    report.apply_declarations(&mut [&mut plan], &[]);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let palette = match coloured {
            true => Palette::Colour,
            false => Palette::Plain,
        };
        print!("{}", render(&[plan], &report, palette));
    }
    Ok(match report.needs_code().next() {
        Some(_) => ExitCode::from(1),
        None => ExitCode::SUCCESS,
    })
}
