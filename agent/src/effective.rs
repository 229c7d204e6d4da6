//! The effective kernel version: the running release plus what is in effect.

use resplice_package::sha256_hex;
use std::collections::BTreeSet;

/// `RELEASE` if no update is in effect, else `RELEASE+rspN.DIGEST`: N updates are in
/// effect, and DIGEST is the first 8 hex digits of the sha256 of their ids, sorted,
/// each followed by a line feed. Two hosts say the same if and only if they run the
/// same release with the same updates (but for a digest's collision); an update of
/// which a part waits for its module counts as in effect. What counts is what the
/// kernel says, not the journal.
#[must_use]
pub fn release(release: &str, applied: &BTreeSet<String>) -> String {
    if applied.is_empty() {
        return release.to_owned();
    }
    let lines: String = applied.iter().map(|id| format!("{id}\n")).collect();
    let digest = sha256_hex(lines.as_bytes());
    format!("{release}+rsp{}.{}", applied.len(), &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_which_updates_are_in_effect_whatever_their_order() {
        let applied = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(release("6.1.0", &applied(&[])), "6.1.0");
        let both = release("6.1.0", &applied(&["rsp_b", "rsp_a"]));
        // printf 'rsp_a\nrsp_b\n' | sha256sum
        assert_eq!(both, "6.1.0+rsp2.30288e6e");
        assert_ne!(both, release("6.1.0", &applied(&["rsp_a"])));
    }
}
