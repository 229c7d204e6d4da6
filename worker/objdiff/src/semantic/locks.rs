//! Locks and reference counts, by the names of the functions that handle them.

use std::collections::BTreeSet;

use super::finding::Severity;

/// What takes, and what gives back.
const PAIRS: [(&[&str], &str); 20] = [
    (&["spin_lock", "spin_trylock"], "spin_unlock"),
    (&["read_lock", "read_trylock"], "read_unlock"),
    (&["write_lock", "write_trylock"], "write_unlock"),
    (&["mutex_lock", "mutex_trylock"], "mutex_unlock"),
    (&["down_read"], "up_read"),
    (&["down_write"], "up_write"),
    (&["rcu_read_lock"], "rcu_read_unlock"),
    (&["srcu_read_lock"], "srcu_read_unlock"),
    (&["lock_sock"], "release_sock"),
    (&["rtnl_lock", "rtnl_trylock"], "rtnl_unlock"),
    (&["lock_page", "trylock_page"], "unlock_page"),
    (&["inode_lock", "inode_trylock"], "inode_unlock"),
    (&["kref_get"], "kref_put"),
    (&["refcount_inc"], "refcount_dec"),
    (&["dev_hold"], "dev_put"),
    (&["sock_hold"], "sock_put"),
    (&["get_device"], "put_device"),
    (&["try_module_get", "__module_get"], "module_put"),
    (&["local_bh_disable"], "local_bh_enable"),
    (&["preempt_disable"], "preempt_enable"),
];

/// Others that order or count without a partner in the same function.
const SINGLE: [&str; 6] = [
    "synchronize_rcu",
    "synchronize_net",
    "call_rcu",
    "kvfree_call_rcu",
    "cancel_work_sync",
    "flush_work",
];

/// Names that end so are counting by convention: `of_node_get`, `ib_device_put`.
const ENDINGS: [&str; 2] = ["_get", "_put"];

/// `_raw_spin_lock_irqsave` and `__mutex_lock` are called by other names.
fn plain(name: &str) -> &str {
    let name = name.trim_start_matches('_');
    name.strip_prefix("raw_").unwrap_or(name)
}

fn starts(name: &str, stems: &[&str]) -> bool {
    stems.iter().any(|stem| name.starts_with(stem))
}

fn counts(name: &str) -> bool {
    let paired = PAIRS
        .iter()
        .any(|(take, give)| starts(name, take) || name.starts_with(give));
    paired || SINGLE.contains(&name) || ENDINGS.iter().any(|end| name.ends_with(end))
}

/// A sentence about what a function gained and lost; worth a review if a lock
/// is taken or given back without its partner.
pub(super) fn difference(
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Option<(Severity, String)> {
    let relevant = |names: &BTreeSet<String>| -> BTreeSet<String> {
        let plain = names.iter().map(|name| plain(name));
        plain
            .filter(|name| counts(name))
            .map(str::to_owned)
            .collect()
    };
    let (before, after) = (relevant(before), relevant(after));
    let gained: Vec<&str> = after.difference(&before).map(String::as_str).collect();
    let lost: Vec<&str> = before.difference(&after).map(String::as_str).collect();
    let mut parts = Vec::new();
    if !gained.is_empty() {
        parts.push(format!("now calls {}", gained.join(", ")));
    }
    if !lost.is_empty() {
        parts.push(format!("no longer calls {}", lost.join(", ")));
    }
    let lonely = |names: &[&str], all: &BTreeSet<String>| {
        names.iter().any(|name| {
            PAIRS.iter().any(|(take, give)| {
                let is_part = starts(name, take) || name.starts_with(give);
                let taken = all.iter().any(|name| starts(name, take));
                is_part && taken != all.iter().any(|name| name.starts_with(give))
            })
        })
    };
    let severity = match lonely(&gained, &after) || lonely(&lost, &after) {
        true => Severity::Review,
        false => Severity::Info,
    };
    (!parts.is_empty()).then(|| (severity, parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_pair_is_a_hint_and_half_of_it_worth_a_look() {
        let none = names(&["memcpy"]);
        let pair = names(&["_raw_spin_lock", "_raw_spin_unlock"]);
        let (severity, sentence) = difference(&none, &pair).unwrap_or_default();
        assert_eq!(severity, Severity::Info);
        assert_eq!(sentence, "now calls spin_lock, spin_unlock");
        let half = names(&["mutex_lock"]);
        let (severity, _) = difference(&none, &half).unwrap_or_default();
        assert_eq!(severity, Severity::Review);
        let left = names(&["_raw_spin_unlock"]);
        let (severity, sentence) = difference(&pair, &left).unwrap_or_default();
        assert_eq!(severity, Severity::Review);
        assert_eq!(sentence, "no longer calls spin_lock");
        assert_eq!(difference(&pair, &pair), None);
    }
}
