//! A finished module in, against the objects of a sound unit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::linked::check_module;
use resplice_objdiff_fuzz::sound;

fuzz_target!(|data: &[u8]| {
    let sound = sound();
    let _ = check_module(data, &sound.identity, &sound.plan, &[sound.unit()], &sound.symvers);
});
