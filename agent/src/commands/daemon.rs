//! `resplice daemon`

use super::{Context, outcome_words};
use crate::{
    agent::{Agent, Outcome},
    cli::Daemon,
    journal::By,
    metrics,
    poll::{self, Ask, Polled},
    server::Server,
    text,
};
use anyhow::{Context as _, Result};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// How long the repository goes unasked while there is nothing to do. Its timestamp is
/// good for two days: that it is held back shows in time.
const ASK: Duration = Duration::from_secs(6 * 3600);
/// Longest wait after failed polls.
const MAX_WAIT: Duration = Duration::from_secs(3600);

pub fn run(context: &Context<'_>, arguments: &Daemon) -> Result<ExitCode> {
    let interval = Duration::from_secs(arguments.interval);
    // What is wrong with this host ends the daemon at once; what is wrong with
    // the server or the network does not.
    let enrolment = context.state.enrolment()?;
    let server = enrolment
        .server
        .context("this host is not enrolled at a server")?;
    context.say(&format!("polling {server} every {} s", arguments.interval));
    put_back(context)?;
    let mut polls = 0;
    let mut asked: Option<Instant> = None;
    loop {
        let ask = match asked {
            Some(asked) if asked.elapsed() < ASK => Ask::IfNeeded,
            _ => Ask::Always,
        };
        let failures = poll(context, arguments, ask)?;
        if failures == 0 && ask == Ask::Always {
            asked = Some(Instant::now());
        }
        polls += 1;
        if arguments.polls.is_some_and(|limit| polls >= limit) {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(jittered(wait(interval, failures))?);
    }
}

/// What the restart took out, should nobody have run `resplice boot`.
fn put_back(context: &Context<'_>) -> Result<()> {
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    let outcomes = agent.reapply()?;
    tell(context, &outcomes)
}

/// One poll, noted and told; how many have failed in a row.
fn poll(context: &Context<'_>, arguments: &Daemon, ask: Ask) -> Result<u32> {
    let ended = round(context, ask);
    let error = ended.as_ref().err().map(|error| format!("{error:#}"));
    let polled = Polled::note(&context.state, arguments.interval, error)?;
    match ended {
        Ok(outcomes) => tell(context, &outcomes)?,
        Err(error) => text::error(&format!("poll failed: {error:#}")),
    }
    if let Some(path) = &arguments.textfile {
        let written = Agent::view(&context.state).and_then(|agent| metrics::write(&agent, path));
        if let Err(error) = written {
            text::error(&format!("{error:#}"));
        }
    }
    Ok(polled.failures)
}

/// The round itself. The lock is only held for its duration, so that an operator's
/// commands get their turn.
fn round(context: &Context<'_>, ask: Ask) -> Result<Vec<Outcome>> {
    let (mut agent, _lock) = Agent::open_locked(&context.state)?;
    let server = Server::of(&agent)?.context("this host is not enrolled at a server any more")?;
    poll::send_reports(&agent, &server);
    let plan = server.plan(&agent.state)?;
    let outcomes = poll::carry_out(&mut agent, &server, &plan, By::Server, ask)?;
    if !outcomes.is_empty() {
        poll::send_reports(&agent, &server);
    }
    Ok(outcomes)
}

/// One line an outcome; with --json one object a line.
fn tell(context: &Context<'_>, outcomes: &[Outcome]) -> Result<()> {
    for outcome in outcomes {
        if context.global.json {
            println!("{}", serde_json::to_string(outcome)?);
        } else {
            context.say(&outcome_words(outcome));
        }
    }
    Ok(())
}

/// The interval, doubled for every failure in a row, up to an hour.
fn wait(interval: Duration, failures: u32) -> Duration {
    let factor = 1 << failures.min(10);
    (interval * factor).min(MAX_WAIT.max(interval))
}

/// Give or take a tenth, so that a fleet does not poll in step.
fn jittered(wait: Duration) -> Result<Duration> {
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    Ok(wait.mul_f64(0.9 + 0.2 * share))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn failures_double_the_wait_up_to_an_hour() {
        let minute = Duration::from_secs(60);
        assert_eq!(wait(minute, 0), minute);
        assert_eq!(wait(minute, 2), minute * 4);
        assert_eq!(wait(minute, 40), MAX_WAIT);
        let day = Duration::from_secs(86400);
        assert_eq!(wait(day, 3), day);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(100)).unwrap().as_secs_f64();
            assert!((90.0..=110.0).contains(&wait), "{wait}");
        }
    }
}
