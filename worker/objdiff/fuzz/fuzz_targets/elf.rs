//! An object file in: the reader, the tables, and a unit compared with itself.
#![no_main]

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
    if let Ok(plan) = diff_unit("unit.c", data, data, data) {
        assert_ne!(plan.outcome(), Outcome::Replace, "it differs from itself");
    }
});
