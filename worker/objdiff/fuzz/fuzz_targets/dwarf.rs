//! Debug information in: a unit's summary, and a report of a unit that it
//! describes before and after the change.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::semantic::{self, UnitInput};
use resplice_objdiff_fuzz::sound;

fuzz_target!(|data: &[u8]| {
    if semantic::read(data).is_err() {
        return;
    }
    let sound = sound();
    let _ = semantic::report(&[UnitInput {
        plan: &sound.plan.units[0],
        before: data,
        pre: &sound.pre,
        post: data,
        touched: &[],
    }]);
});
