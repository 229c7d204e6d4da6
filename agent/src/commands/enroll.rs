//! `resplice enroll`

use super::Context;
use crate::{
    cli::Enroll,
    host::Host,
    ledger,
    server::{runtime, words},
    state::Enrolment,
    vouch,
};
use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use resplice_api::{Enrol, Token, client::Client};
use resplice_package::{PublicKey, SecretKey};
use serde_json::json;
use std::{fs::File, io::Read, path::Path, process::ExitCode};

pub fn run(context: &Context<'_>, arguments: &Enroll) -> Result<ExitCode> {
    let state = &context.state;
    state.create()?;
    let _lock = state.lock()?;
    let old = state.read_json::<Enrolment>("host.json")?;
    if !arguments.force
        && let Some(old) = &old
    {
        let place = old.server.as_deref().unwrap_or("no server");
        bail!(
            "this host is enrolled already, as {} at {place}: use --force to replace that",
            old.name
        );
    }
    let host = Host::read()?;
    let pinned = keys(&arguments.worker_key)?;
    let key = host_key(&state.host_key())?;
    let mut enrolment = Enrolment {
        server: None,
        host_id: None,
        name: arguments.name.clone().unwrap_or_else(|| host.name.clone()),
        target: arguments.target.clone().unwrap_or_else(|| host.target()),
        worker_keys: pinned,
        log_key: None,
        channel: arguments
            .channel
            .or(old.map(|old| old.channel))
            .unwrap_or_default(),
    };
    if let (Some(server), Some(token_file)) = (&arguments.server, &arguments.token_file) {
        let client = Client::new(server, Some(Token::from_file(token_file)?)).map_err(words)?;
        let mut enrol = Enrol {
            name: enrolment.name.clone(),
            public_key: key.public().to_string(),
            release: host.release.clone(),
            target: enrolment.target.clone(),
            channel: Some(enrolment.channel),
            at: Timestamp::now(),
            signature: String::new(),
        };
        enrol.signature = hex::encode(key.sign(enrol.signed().as_bytes()));
        let answer = runtime()?.block_on(client.enrol(&enrol)).map_err(words)?;
        if enrolment.worker_keys.is_empty() {
            enrolment.worker_keys = keys(&answer.worker_keys)
                .context("the server sent a worker key that can't be used")?;
        }
        let root = match &arguments.root {
            Some(path) => read_root(path)?,
            None => answer.root.into_bytes(),
        };
        vouch::begin(state, &root)?;
        enrolment.server = Some(client.server().to_owned());
        enrolment.host_id = Some(answer.host_id);
        enrolment.log_key = Some(arguments.log_key.clone().unwrap_or(answer.log_key));
        state.store_token(&answer.token)?;
    } else if let Some(path) = &arguments.root {
        vouch::begin(state, &read_root(path)?)?;
        enrolment.log_key.clone_from(&arguments.log_key);
    }
    if let Some(key) = &enrolment.log_key {
        ledger::begin(state, key)?;
    }
    ensure!(
        !enrolment.worker_keys.is_empty(),
        "the server knows no worker yet, so no package could be trusted: start a worker and enrol again"
    );
    crate::journal::Journal::open(&state.journal(), &host.boot_id)?;
    state.store_enrolment(&enrolment)?;
    give(context, &enrolment)?;
    Ok(ExitCode::SUCCESS)
}

fn give(context: &Context<'_>, enrolment: &Enrolment) -> Result<()> {
    let value = json!({
        "host_id": enrolment.host_id,
        "name": enrolment.name,
        "server": enrolment.server,
        "target": enrolment.target,
        "channel": enrolment.channel,
        "worker_keys": enrolment.worker_keys,
    });
    context.give(&value, || {
        let place = enrolment.server.as_ref().map_or_else(
            || "for packages by hand".to_owned(),
            |server| format!("at {server}"),
        );
        let count = enrolment.worker_keys.len();
        let s = if count == 1 { "" } else { "s" };
        format!(
            "enrolled {} {place}\n  target   {}\n  channel  {}\n  trusts   {count} worker key{s}",
            enrolment.name, enrolment.target, enrolment.channel
        )
    })
}

fn keys(texts: &[String]) -> Result<Vec<PublicKey>> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

/// A root file that somebody has brought here.
fn read_root(path: &Path) -> Result<Vec<u8>> {
    let failed = || format!("can't read the root {}", path.display());
    let mut bytes = Vec::new();
    File::open(path)
        .with_context(failed)?
        .take(resplice_tuf::MAX_ROOT_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    Ok(bytes)
}

/// The host's key; made the first time, kept after that.
fn host_key(path: &Path) -> Result<SecretKey> {
    if path.exists() {
        return Ok(SecretKey::load(path)?);
    }
    Ok(SecretKey::generate_file(path)?)
}
