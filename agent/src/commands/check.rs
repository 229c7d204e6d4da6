//! `resplice check`

use super::{Context, REFUSED, apply};
use crate::{
    agent::{Agent, CheckResult, Refusal, read_package},
    cli::Check,
    poll,
    text::{Tone, paint, plain},
    vouch::Vouched,
};
use anyhow::Result;
use resplice_api::PlannedUpdate;
use std::process::ExitCode;

pub fn run(context: &Context<'_>, arguments: &Check) -> Result<ExitCode> {
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    let mut results = Vec::new();
    if let Some(path) = &arguments.package {
        let bytes = read_package(path)?;
        let name = path.display().to_string();
        results.push(match agent.verify(&bytes, None) {
            Ok(package) => agent.check(&package)?,
            Err(refusal) => refused(&name, None, refusal),
        });
    } else {
        let server = apply::server_of(&agent)?;
        let plan = server.plan(&agent.state)?;
        let chosen: Vec<&PlannedUpdate> = match &arguments.update {
            Some(id) => vec![apply::choose(&agent, &plan, id)?],
            None => plan.updates.iter().collect(),
        };
        let vouched = Vouched::refresh(&agent)?;
        for planned in chosen {
            results.push(
                match poll::fetch_to_check(&mut agent, &server, &vouched, planned)? {
                    Ok(package) => agent.check(&package)?,
                    Err(refusal) => refused(
                        &planned.update_id.to_string(),
                        Some(planned.name.clone()),
                        refusal,
                    ),
                },
            );
        }
    }
    context.give(&results, || {
        if results.is_empty() {
            return "nothing to check: the server has released nothing for this host".to_owned();
        }
        results.iter().map(words).collect::<Vec<_>>().join("\n")
    })?;
    let all = results.iter().all(|result| result.applies);
    Ok(ExitCode::from(if all { 0 } else { REFUSED }))
}

fn refused(update: &str, name: Option<String>, refusal: Refusal) -> CheckResult {
    CheckResult {
        update: update.to_owned(),
        id: None,
        name,
        applies: false,
        code: Some(refusal.code.to_owned()),
        detail: Some(refusal.sentence),
        functions: 0,
    }
}

fn words(result: &CheckResult) -> String {
    let id = plain(result.id.as_deref().unwrap_or(&result.update));
    let name = plain(result.name.as_deref().unwrap_or_default());
    let name = paint(&name, Tone::Quiet);
    let code = result.code.as_deref().unwrap_or("failed");
    let s = if result.functions == 1 { "" } else { "s" };
    let mut words = match (result.applies, result.code.is_some()) {
        (true, true) => format!("{} {id} {name}", paint("✓", Tone::Good)),
        (true, false) => format!(
            "{} {id} {name} would replace {} function{s}: all that it relies on matches the running kernel",
            paint("✓", Tone::Good),
            result.functions
        ),
        (false, _) => format!(
            "{} {id} {name} would be refused ({})",
            paint("✗", Tone::Bad),
            plain(code)
        ),
    };
    for line in result.detail.iter().flat_map(|detail| detail.lines()) {
        words.push_str(&format!("\n    {}", plain(line)));
    }
    words
}
