//! An object file in: the reader, the tables, and a unit compared with itself.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::diff::diff_unit;
use resplice_objdiff::elf::Object;
use resplice_objdiff::plan::Outcome;
use resplice_objdiff::sites;

fuzz_target!(|data: &[u8]| {
    let Ok(object) = Object::parse(data) else {
        return;
    };
    let _ = sites::read_all(&object);
    let names: Vec<&str> = object.symbols.iter().map(|s| s.name.as_str()).collect();
    let are_unique = names.iter().collect::<HashSet<_>>().len() == names.len();
    let plan = diff_unit("unit.c", data, data, data);
    // No compiler gives two things one name; then nothing tells which is which.
    if let (Ok(plan), true) = (plan, are_unique) {
        assert_ne!(plan.outcome(), Outcome::Replace, "it differs from itself");
    }
});
