//! A finished module in, against the objects of a sound unit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::delta::Identity;
use resplice_objdiff::linked::check_module;
use resplice_objdiff_fuzz::{ID, sound};

fuzz_target!(|data: &[u8]| {
    let sound = sound();
    let identity = Identity::new(ID).expect("a good id");
    let _ = check_module(data, &identity, &sound.plan, &[sound.unit()], &sound.symvers);
});
