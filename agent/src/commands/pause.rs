//! `resplice pause` and `resplice resume`

use super::Context;
use crate::pause::Pause;
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;
use std::process::ExitCode;

pub fn begin(context: &Context<'_>, until: Option<Timestamp>) -> Result<ExitCode> {
    context.state.enrolment()?;
    // Whatever is being applied comes to its end first.
    let _lock = context.state.lock()?;
    let pause = Pause::begin(&context.state, Timestamp::now(), until)?;
    context.give(&pause, || format!("paused: {}", pause.words()))?;
    Ok(ExitCode::SUCCESS)
}

pub fn end(context: &Context<'_>) -> Result<ExitCode> {
    context.state.enrolment()?;
    let _lock = context.state.lock()?;
    Pause::end(&context.state)?;
    context.give(&json!({"paused": false}), || {
        "resumed: what waits is applied with the next poll, or by `resplice apply`".to_owned()
    })?;
    Ok(ExitCode::SUCCESS)
}
