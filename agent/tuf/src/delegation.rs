//! The search for a target (specification, step 5.6.7): depth first, in the order
//! of the delegations, at most [`MAX_DELEGATIONS`] roles.

use crate::{
    Client, Error, Fetch, MAX_DELEGATIONS, Target, Trusted,
    key::Key,
    metadata::{Delegation, Signers, Targets},
    target::check_name,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A role that the search still has to look at, and who signs for it.
struct Next {
    role: String,
    keys: BTreeMap<String, Key>,
    signers: Signers,
}

impl<F: Fetch> Client<F> {
    /// Finds what the repository says about a target.
    ///
    /// # Errors
    /// [`Error::NoTarget`] if no role speaks for it; [`Error::Name`]; and whatever
    /// is wrong with a delegated role on the way, which ends the search.
    pub fn find(&mut self, trusted: &Trusted, name: &str) -> Result<Target, Error> {
        check_name(name)?;
        let mut visited = BTreeSet::new();
        // The role that comes next is the last.
        let mut waiting = Vec::new();
        if let Some(target) = look(&trusted.targets, name, &mut waiting) {
            return Ok(target);
        }
        while let Some(next) = waiting.pop() {
            // 5.6.7.1: each role once, and not endlessly many.
            if visited.len() >= MAX_DELEGATIONS {
                break;
            }
            if !visited.insert(next.role.clone()) {
                continue;
            }
            let signers = (&next.keys, &next.signers);
            let targets =
                self.refresh_targets(&trusted.root, &trusted.snapshot, &next.role, signers)?;
            if let Some(target) = look(&targets, name, &mut waiting) {
                return Ok(target);
            }
        }
        Err(Error::NoTarget {
            name: name.to_owned(),
        })
    }
}

/// Looks for the target in a role (5.6.7.1), and adds the roles that this one
/// delegates it to (5.6.7.2).
fn look(targets: &Targets, name: &str, waiting: &mut Vec<Next>) -> Option<Target> {
    if let Some(meta) = targets.targets.get(name) {
        return Some(Target::new(name, meta));
    }
    let delegations = targets.delegations.as_ref()?;
    let mut children = Vec::new();
    for role in delegations.roles.iter().flatten() {
        if !speaks_for(role, name) {
            continue;
        }
        children.push(Next {
            role: role.name.clone(),
            keys: delegations.keys.clone(),
            signers: role.signers.clone(),
        });
        // 5.6.7.2.1: whoever comes after a terminating role is not asked.
        if role.terminating {
            waiting.clear();
            break;
        }
    }
    waiting.extend(children.into_iter().rev());
    None
}

fn speaks_for(role: &Delegation, name: &str) -> bool {
    if let Some(prefixes) = &role.path_hash_prefixes {
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        return prefixes.iter().any(|prefix| digest.starts_with(prefix));
    }
    let mut patterns = role.paths.iter().flatten();
    patterns.any(|pattern| matches_path(pattern, name))
}

/// Section 4.5: a pattern matches part by part, `*` and `?` not across slashes.
fn matches_path(pattern: &str, name: &str) -> bool {
    let patterns: Vec<&str> = pattern.split('/').collect();
    let parts: Vec<&str> = name.split('/').collect();
    patterns.len() == parts.len()
        && patterns
            .iter()
            .zip(parts)
            .all(|(pattern, part)| matches_part(pattern, part))
}

/// A shell's pattern with `*`, `?` and `[…]`, in steps of at most pattern times name.
fn matches_part(pattern: &str, part: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let part: Vec<char> = part.chars().collect();
    let (mut at, mut in_part) = (0, 0);
    // Where to go on with the last star one character later.
    let mut star: Option<(usize, usize)> = None;
    while in_part < part.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, in_part));
            at += 1;
            continue;
        }
        if let Some(length) = one(&pattern[at..], part[in_part]) {
            at += length;
            in_part += 1;
            continue;
        }
        let Some((star_at, star_part)) = star else {
            return false;
        };
        star = Some((star_at, star_part + 1));
        at = star_at + 1;
        in_part = star_part + 1;
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// How many characters of the pattern match this one; none if they do not.
fn one(pattern: &[char], found: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => {
            let negated = pattern.get(1) == Some(&'!');
            let start = if negated { 2 } else { 1 };
            // A bracket that comes first is a member.
            let end = pattern
                .iter()
                .skip(start + 1)
                .position(|c| *c == ']')
                .map(|at| at + start + 1);
            let Some(end) = end else {
                return (found == '[').then_some(1);
            };
            let mut set = &pattern[start..end];
            let mut member = false;
            while let [first, rest @ ..] = set {
                if let ['-', last, rest @ ..] = rest {
                    member |= (*first..=*last).contains(&found);
                    set = rest;
                } else {
                    member |= *first == found;
                    set = rest;
                }
            }
            (member != negated).then_some(end + 1)
        }
        c => (c == found).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_does_and_not_across_slashes() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", "a/b", false),
            ("targets/*.tgz", "targets/foo.tgz", true),
            ("targets/*.tgz", "targets/foo.txt", false),
            ("foo-version-?.tgz", "foo-version-2.tgz", true),
            ("foo-version-?.tgz", "foo-version-alpha.tgz", false),
            ("*.tgz", "targets/foo.tgz", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXcXb", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches_path(pattern, name), expected, "{pattern} {name}");
        }
    }
}
