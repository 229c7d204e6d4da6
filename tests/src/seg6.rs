//! The fix of CVE-2026-72400, two functions of net/ipv6/seg6.c: what most tests apply.

use crate::guest::Guest;
use anyhow::{Result, ensure};
use resplice_package::Package;

/// The fix.
pub const PATCH: &str = "deploy/demo/seg6-srh-length.patch";
/// The reproducer's exit codes.
pub const FIXED: i32 = 0;
/// As a kernel without the fix answers.
pub const VULNERABLE: i32 = 1;

/// Runs the reproducer, which [`Guest::bring_seg6_check`] has brought.
pub fn check(guest: &Guest) -> Result<i32> {
    let output = guest.run("/root/seg6-check")?;
    ensure!(output.code <= VULNERABLE, "{}", output.all_text());
    Ok(output.code)
}

/// Vulnerable, applied: fixed, undone: vulnerable; twice, and a clean log.
pub fn in_and_out(guest: &Guest, package: &Package) -> Result<()> {
    let is = |wanted: i32, when: &str| -> Result<()> {
        let found = check(guest)?;
        ensure!(found == wanted, "the reproducer says {found} {when}");
        Ok(())
    };
    guest.bring(package)?;
    guest.bring_seg6_check()?;
    for _ in 0..2 {
        is(VULNERABLE, "before")?;
        guest.apply(package)?;
        is(FIXED, "while the update is in effect")?;
        guest.undo(package)?;
    }
    is(VULNERABLE, "after")?;
    guest.ok("rmmod resplice")?;
    guest.log_is_clean()
}
