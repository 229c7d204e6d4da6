//! The fix of CVE-2026-72400, two functions of net/ipv6/seg6.c: what most tests apply. For a kernel that has
//! the fix, it is an update that takes it back.

use crate::guest::Guest;
use anyhow::{Result, ensure};
use resplice_package::Package;

/// The fix.
pub const PATCH: &str = "deploy/demo/seg6-srh-length.patch";

/// Which of the two texts answers the reproducer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Text {
    /// As the kernel came.
    Shipped,
    /// As the update has it.
    Updated,
}

/// Runs the reproducer, which [`Guest::bring_seg6_check`] has brought.
pub fn check(guest: &Guest) -> Result<Text> {
    let output = guest.run("/root/seg6-check; code=$?; uname -r; exit $code")?;
    let fixed = match output.code {
        0 => true,
        1 => false,
        _ => anyhow::bail!("the reproducer: {}", output.all_text()),
    };
    let text = output.text();
    let release = text.lines().last().unwrap_or_default();
    let came_fixed = !release.starts_with("6.1.");
    Ok(if fixed == came_fixed {
        Text::Shipped
    } else {
        Text::Updated
    })
}

/// Shipped, applied: updated, undone: shipped; twice, and a clean log.
pub fn in_and_out(guest: &Guest, package: &Package) -> Result<()> {
    let is = |wanted: Text, when: &str| -> Result<()> {
        let found = check(guest)?;
        ensure!(found == wanted, "the reproducer says {found:?} {when}");
        Ok(())
    };
    guest.bring(package)?;
    guest.bring_seg6_check()?;
    for _ in 0..2 {
        is(Text::Shipped, "before")?;
        guest.apply(package)?;
        is(Text::Updated, "while the update is in effect")?;
        guest.undo(package)?;
    }
    is(Text::Shipped, "after")?;
    guest.ok("rmmod resplice")?;
    guest.log_is_clean()
}
