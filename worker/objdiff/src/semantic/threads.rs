//! What kernel threads run: functions whose address is handed to whoever starts
//! one. Some never return, and an update waits until nobody is in what it replaces.

use std::collections::{BTreeMap, BTreeSet};

use crate::elf::{Object, Place};

use super::functions::{function_at, is_value};

/// Functions of the kernel that start a thread with a function of their caller's.
const STARTERS: [&str; 5] = [
    "kthread_create_on_node",
    "kthread_create_on_cpu",
    "kernel_thread",
    "user_mode_thread",
    "create_io_thread",
];

/// Functions of an object that threads are started with, and who starts them: who
/// takes such an address and calls a starter may do both for different reasons.
pub(super) fn started(object: &Object) -> BTreeMap<&str, &str> {
    let mut taken: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut starters = BTreeSet::new();
    for section in object.sections.iter().filter(|s| s.kind.is_code()) {
        for reloc in &section.relocs {
            let from = Place {
                section: section.id,
                offset: reloc.offset,
            };
            let Some(from) = object.symbol_covering(from) else {
                continue;
            };
            let to = object.symbol(reloc.symbol);
            if STARTERS.contains(&to.name.as_str()) {
                starters.insert(from.name.as_str());
                continue;
            }
            let name = if to.is_function() {
                Some(to.name.as_str())
            } else {
                function_at(object, reloc)
            };
            let is_taken = is_value(section.bytes.as_slice(), reloc);
            taken.extend(
                name.filter(|_| is_taken)
                    .map(|name| (name, from.name.as_str())),
            );
        }
    }
    let by_a_starter = |(_, from): &(&str, &str)| starters.contains(from);
    taken.into_iter().filter(by_a_starter).collect()
}
