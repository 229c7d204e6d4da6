//! `resplice uname`

use super::Context;
use crate::{cli::Uname, effective, host::Host, kernel::Kernel};
use anyhow::Result;
use serde_json::{Map, Value};
use std::process::ExitCode;

pub fn run(context: &Context<'_>, arguments: &Uname) -> Result<ExitCode> {
    let host = Host::read()?;
    let live = Kernel::running(context.state.load()).applied()?;
    let [kernel_name, version] = Host::build()?;
    let chosen = [
        ("kernel_name", arguments.kernel_name, kernel_name),
        ("nodename", arguments.nodename, host.name),
        (
            "kernel_release",
            arguments.kernel_release,
            effective::release(&host.release, &live),
        ),
        ("kernel_version", arguments.kernel_version, version),
        (
            "machine",
            arguments.machine,
            std::env::consts::ARCH.to_owned(),
        ),
    ];
    let none = !chosen.iter().any(|(_, wanted, _)| *wanted);
    let wanted: Vec<(&str, String)> = chosen
        .into_iter()
        .filter(|(name, wanted, _)| *wanted || arguments.all || (none && *name == "kernel_name"))
        .map(|(name, _, value)| (name, value))
        .collect();
    let words: Vec<&str> = wanted.iter().map(|(_, value)| value.as_str()).collect();
    let words = words.join(" ");
    let map: Map<String, Value> = wanted
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    context.give(&map, || words)?;
    Ok(ExitCode::SUCCESS)
}
