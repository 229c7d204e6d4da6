//! `resplice verify`

use super::{Context, REFUSED};
use crate::{
    agent::{Agent, Finding, Held},
    text::{Tone, paint, plain},
};
use anyhow::Result;
use serde::Serialize;
use std::process::ExitCode;

/// What `verify --json` gives.
#[derive(Serialize)]
struct Verified {
    /// Whether there are no findings.
    ok: bool,
    /// The updates that are in effect and in the journal.
    updates: Vec<Held>,
    findings: Vec<Finding>,
}

pub fn run(context: &Context<'_>) -> Result<ExitCode> {
    let agent = Agent::view(&context.state)?;
    let mut findings = agent.differences()?;
    let (updates, more) = agent.hold_against_packages()?;
    findings.extend(more);
    let verified = Verified {
        ok: findings.is_empty(),
        updates,
        findings,
    };
    context.give(&verified, || words(&verified))?;
    Ok(ExitCode::from(if verified.ok { 0 } else { REFUSED }))
}

fn words(verified: &Verified) -> String {
    let mut lines: Vec<String> = verified
        .findings
        .iter()
        .map(|finding| {
            format!(
                "{} {} {} ({})",
                paint("✗", Tone::Bad),
                plain(&finding.update),
                plain(&finding.sentence),
                finding.code
            )
        })
        .collect();
    for held in &verified.updates {
        if !verified
            .findings
            .iter()
            .any(|finding| finding.update == held.id)
        {
            lines.push(format!(
                "{} {} runs as its package was signed",
                paint("✓", Tone::Good),
                plain(&held.id)
            ));
        }
    }
    if lines.is_empty() {
        return "no update is in effect, and the journal says the same".to_owned();
    }
    lines.join("\n")
}
