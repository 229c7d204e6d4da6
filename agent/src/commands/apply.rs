//! `resplice apply`

use super::{Context, exit_code, outcome_words, report};
use crate::{
    agent::{Agent, Outcome, key, read_package, timed},
    bundle,
    cli::Apply,
    journal::{By, State},
    pause::Pause,
    poll::{self, Ask},
    server::Server,
    text,
    vouch::Vouched,
};
use anyhow::{Context as _, Result, bail, ensure};
use resplice_api::{Plan, PlannedUpdate};
use std::{path::Path, process::ExitCode};

pub fn run(context: &Context<'_>, arguments: &Apply) -> Result<ExitCode> {
    let single = arguments.update.is_some() || arguments.package.is_some();
    ensure!(
        !arguments.force || single,
        "--force needs --update or --package"
    );
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    Pause::forbids(&agent.state)?;
    let outcomes = if let Some(path) = &arguments.bundle {
        bundle::apply(&mut agent, path)?
    } else if let Some(path) = &arguments.package {
        vec![from_file(&mut agent, path, arguments.force)?]
    } else {
        let server = server_of(&agent)?;
        let plan = server.plan(&agent.state)?;
        match &arguments.update {
            Some(id) => {
                let planned = choose(&agent, &plan, id)?;
                check_quarantine(&agent, &planned.update_id.to_string(), arguments.force)?;
                let vouched = Vouched::refresh(&agent)?;
                vec![poll::apply_planned(
                    &mut agent,
                    &server,
                    &vouched,
                    planned,
                    By::Operator,
                )?]
            }
            None => poll::carry_out(&mut agent, &server, &plan, By::Operator, Ask::Always)?,
        }
    };
    context.give(&outcomes, || {
        if outcomes.is_empty() {
            return "nothing to do: see `resplice list`".to_owned();
        }
        outcomes
            .iter()
            .map(outcome_words)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    report(&agent);
    Ok(exit_code(&outcomes))
}

/// The server, for a command that can't do without it.
pub fn server_of(agent: &Agent) -> Result<Server> {
    Server::of(agent)?.context(
        "this host is not enrolled at a server: give --package FILE, or `resplice enroll --server URL --force`",
    )
}

/// The planned update whose id on the server or in the kernel begins with `id`.
pub fn choose<'a>(agent: &Agent, plan: &'a Plan, id: &str) -> Result<&'a PlannedUpdate> {
    let records = agent.journal.records();
    let begins = |planned: &&PlannedUpdate| {
        let update = planned.update_id.to_string();
        let in_kernel = records.get(&update).and_then(|record| record.info.as_ref());
        update.starts_with(id) || in_kernel.is_some_and(|info| info.id.starts_with(id))
    };
    let mut found = plan.updates.iter().filter(begins);
    match (found.next(), found.next()) {
        (Some(planned), None) => Ok(planned),
        (Some(_), Some(_)) => {
            bail!("{id:?} is the beginning of more than one update's id: give more of it")
        }
        (None, _) => {
            bail!("the server has released no update {id:?} for this host: see `resplice list`")
        }
    }
}

fn from_file(agent: &mut Agent, path: &Path, force: bool) -> Result<Outcome> {
    let mut timeline = Vec::new();
    let bytes = read_package(path)?;
    // Who it is from is known only once it is verified; until then it goes by
    // its digest.
    let verified = timed(&mut timeline, "verify", || agent.verify(&bytes, None));
    let package = match verified {
        Ok(package) => package,
        Err(_) => {
            let unknown = format!("package-{}", &resplice_package::sha256_hex(&bytes)[..16]);
            return match agent.verify_noted(&unknown, &bytes, None, By::Operator)? {
                Ok(_) => bail!("the package was refused, then not"),
                Err(outcome) => Ok(outcome),
            };
        }
    };
    let update = key(&package).to_owned();
    check_quarantine(agent, &update, force)?;
    if let Some(revoked) = agent.known_revocations().get(&update) {
        ensure!(
            force,
            "{update} was revoked: {}: add --force to apply it all the same",
            text::plain(&revoked.reason)
        );
    }
    agent.store_package(&update, &bytes, By::Operator)?;
    match agent.verify_noted(&update, &bytes, None, By::Operator)? {
        Ok(package) => agent.apply(&package, By::Operator, timeline),
        Err(outcome) => Ok(outcome),
    }
}

fn check_quarantine(agent: &Agent, update: &str, force: bool) -> Result<()> {
    let records = agent.journal.records();
    let quarantined = records
        .get(update)
        .is_some_and(|r| r.last.state == State::Quarantined);
    ensure!(
        force || !quarantined,
        "the host went down the last time that {update} was applied: add --force to try it again"
    );
    Ok(())
}
