//! Units match the memory of a stock kernel beside others of their object.

use resplice_target::Cache;
use resplice_tests::eval::memory;
use resplice_tests::eval::share::{Outcome, in_file, in_memory};
use resplice_tests::eval::workshop::{Workshop, runtime};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_worker::kmod::Kmod;
use resplice_worker::matching::match_units;

/// fork.c has weak functions that process.c overrides; the module calls by
/// static calls whose keys are not exported.
const UNITS: [&str; 3] = [
    "arch/x86/kernel/process.c",
    "kernel/fork.c",
    "net/netfilter/nf_tables_api.c",
];

#[test]
fn units_that_override_each_other_and_a_module_match_memory() {
    let target = target(CLOUD).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let matched = runtime().unwrap().block_on(async {
        let workshop = Workshop::open(&target, directory.path(), "match")
            .await
            .unwrap();
        let build = workshop.build().unwrap();
        let cache = Cache::from_env();
        let units = UNITS.map(str::to_owned);
        match_units(&build, &units, &Kmod::embedded().unwrap(), cache.root())
            .await
            .unwrap()
    });
    let reports = memory::reports(&target, "max", &matched).unwrap();
    let mut overridden = 0;
    for (object, report) in matched.iter().zip(&reports) {
        for (function, outcome) in in_memory(&in_file(&object.report), report) {
            match outcome {
                Outcome::Matched => {}
                Outcome::OverriddenWeak => overridden += 1,
                bad => panic!("{function:?}: {bad:?}"),
            }
        }
    }
    assert!(overridden > 0, "nothing was overridden");
}

#[test]
fn a_section_at_several_places_that_the_update_does_not_need() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/kernel-pidfd.patch").unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring(&package).unwrap();
    guest.apply(&package).unwrap();
    let report = guest.report().unwrap();
    assert!(
        report.contains("ambiguous: kernel/pid.c .text.unlikely matches at"),
        "{report}"
    );
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}
