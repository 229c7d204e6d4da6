//! An object file in, in the place of one of a sound unit's: the whole of
//! differencing, and the check of what it wrote.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::delta::{UnitInput, write_delta};
use resplice_objdiff::linked::check_module;
use resplice_objdiff_fuzz::{ID, sound};

fuzz_target!(|data: &[u8]| {
    let sound = sound();
    let whole = sound.unit();
    let in_place = [
        UnitInput { reference: data, ..whole },
        UnitInput { pre: data, ..whole },
        UnitInput { post: data, ..whole },
    ];
    for unit in in_place {
        let Ok(delta) = write_delta(ID, "vmlinux", &[unit], &sound.symvers) else {
            continue;
        };
        if let Some(bytes) = &delta.bytes {
            // It may find fault with what hostile objects led to, but not panic.
            let _ = check_module(bytes, &sound.identity, &delta.plan, &[unit], &sound.symvers);
        }
    }
});
