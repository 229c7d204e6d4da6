//! Units match the memory of a stock kernel beside others of their object.

use object::{Object, ObjectSection};
use resplice_target::Cache;
use resplice_tests::eval::memory;
use resplice_tests::eval::share::{Outcome, in_file, in_memory};
use resplice_tests::eval::workshop::{Workshop, runtime};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;
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

#[test]
fn a_function_of_a_section_at_several_places_is_not_replaced() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/kernel-pidfd.patch").unwrap();
    let package = update.open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    let part = &package.parts().unwrap()[0];
    let file = object::File::parse(part.bytes).unwrap();
    let section = |name: &str| file.section_by_name(name).unwrap();
    let start = |name: &str| usize::try_from(section(name).file_range().unwrap().0).unwrap();
    // struct resplice_match: behind 16 bytes a table's offset and count each; the
    // functions are the fourth, and those of .text.unlikely come last.
    let image = section(".init.resplice.match").data().unwrap();
    let functions = u32::from_le_bytes(image[44..48].try_into().unwrap());
    let mut module = part.bytes.to_vec();
    // struct resplice_replace: the new function, then the old one's index.
    let old = start(".init.resplice.replace") + 8;
    module[old..old + 4].copy_from_slice(&(functions - 1).to_le_bytes());
    guest
        .vm
        .push(&[GuestFile::new(
            format!("/root/{}.ko", part.name),
            0o600,
            module,
        )])
        .unwrap();
    let (loaded, report) = guest.load(&package).unwrap();
    assert!(!loaded);
    let sentence = "ambiguous: kernel/pid.c .text.unlikely matches at several places";
    assert!(report.contains(sentence), "{report}");
    guest.log_is_clean().unwrap();
}
