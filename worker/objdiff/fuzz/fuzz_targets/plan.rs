//! A plan as JSON in, as reports and manifests carry it, and a list of exports.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resplice_objdiff::linked::check_module;
use resplice_objdiff::plan::Plan;
use resplice_objdiff::symvers::Symvers;
use resplice_objdiff_fuzz::sound;

fuzz_target!(|data: &[u8]| {
    let sound = sound();
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Symvers::parse(text);
    }
    let Ok(plan) = serde_json::from_slice::<Plan>(data) else {
        return;
    };
    let text = serde_json::to_vec(&plan).expect("a plan is JSON");
    assert_eq!(serde_json::from_slice::<Plan>(&text).ok(), Some(plan.clone()));
    let _ = plan.outcome();
    for refusal in plan.refused() {
        let _ = refusal.to_string();
    }
    let _ = check_module(&sound.post, &sound.identity, &plan, &[sound.unit()], &sound.symvers);
});
