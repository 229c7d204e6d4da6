//! A kernel livepatch of `int_sqrt`, beside which updates are tried and measured.

use crate::{guest::Guest, modules};
use anyhow::Result;
use resplice_target::Target;
use resplice_vm::GuestFile;

const DIRECTORY: &str = "/sys/kernel/livepatch/rt_livepatch";

/// Brings its module into a guest.
pub fn bring(guest: &Guest, target: &Target) -> Result<()> {
    let module = modules::build(target, "rt_livepatch")?;
    let file = GuestFile::new("/root/rt_livepatch.ko", 0o600, module);
    Ok(guest.vm.push(&[file])?)
}

/// Puts it in force, and waits until every task has gone over.
pub fn on(guest: &Guest) -> Result<()> {
    guest.ok(&format!(
        "insmod /root/rt_livepatch.ko && for i in $(seq 600); do \
         [ $(cat {DIRECTORY}/transition) = 0 ] && exit; sleep 0.1; done; exit 1"
    ))?;
    Ok(())
}

/// Takes it out again. Once every task has gone back, its directory is gone.
pub fn off(guest: &Guest) -> Result<()> {
    guest.ok(&format!(
        "echo 0 > {DIRECTORY}/enabled && for i in $(seq 600); do \
         [ -d {DIRECTORY} ] || exec rmmod rt_livepatch; sleep 0.1; done; exit 1"
    ))?;
    Ok(())
}
