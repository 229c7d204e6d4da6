//! Update modules whose tables have been tampered with.

use crate::{SEG6, Shipped, seg6_check};
use fastrand::Rng;
use object::{Object, ObjectSection};
use resplice_package::Package;
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;
use std::time::Duration;

/// How many modules are tried, unless `RESPLICE_MUTANTS` says another number.
const MUTANTS: usize = 200;
/// How many of them are brought at a time.
const BATCH: usize = 200;
/// For a batch, on a kernel that watches over itself.
const LIMIT: Duration = Duration::from_secs(900);
/// Printed with a failure; the same seed makes the same modules.
const SEED: u64 = 0x5eed_0001;

/// File ranges of what the core reads: header, image, late and replace tables.
fn tables(module: &[u8]) -> Vec<std::ops::Range<usize>> {
    let file = object::File::parse(module).unwrap();
    file.sections()
        .filter(|section| section.name().unwrap().starts_with(".init.resplice."))
        .filter_map(|section| section.file_range())
        .filter(|range| range.1 > 0)
        .map(|(start, size)| {
            usize::try_from(start).unwrap()..usize::try_from(start + size).unwrap()
        })
        .collect()
}

/// One to four aligned words of a table become other numbers.
fn mutate(module: &[u8], tables: &[std::ops::Range<usize>], random: &mut Rng) -> Vec<u8> {
    let mut mutant = module.to_vec();
    for _ in 0..=random.usize(..4) {
        let table = &tables[random.usize(..tables.len())];
        // The image's head is small and matters most: hit it often.
        let span = if random.usize(..2) == 0 {
            table.len().min(128)
        } else {
            table.len()
        };
        let at = table.start + random.usize(..span / 4) * 4;
        let word = match random.usize(..4) {
            0 => 0,
            1 => u32::MAX,
            2 => random.u32(..1 << 16),
            _ => 1 << random.u32(..32),
        };
        mutant[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    mutant
}

/// Loads each module, and takes out what was let in; how many were refused.
fn refusals(guest: &Guest, id: &str, modules: &[Vec<u8>]) -> usize {
    let files: Vec<GuestFile> = modules
        .iter()
        .enumerate()
        .map(|(index, module)| GuestFile::new(format!("/root/m/{index}.ko"), 0o600, module.clone()))
        .collect();
    guest.vm.push(&files).unwrap();
    let script = format!(
        "refused=0; for m in /root/m/*.ko; do \
           if insmod $m 2>/dev/null; then \
             echo 0 > /sys/kernel/resplice/updates/{id}/enabled; \
             rmmod {id} || {{ echo $m; cat /sys/kernel/resplice/report; dmesg | tail -n 20; exit 1; }}; \
           else refused=$((refused + 1)); fi; \
         done; rm /root/m/*.ko; echo $refused"
    );
    let output = guest.vm.run(&script, LIMIT).unwrap();
    let said = output.text();
    assert!(output.success(), "one does not go: {said}");
    said.trim().parse().unwrap()
}

/// Tries so many modules, and then the one that they were made of.
fn try_mutants(guest: &Guest, package: &Package, mutants: usize) {
    let module = package.parts().unwrap()[0].bytes;
    let tables = tables(module);
    assert!(tables.len() >= 3, "the update has lost its tables");
    let mut random = Rng::with_seed(SEED);
    let (mut tried, mut refused) = (0, 0);
    while tried < mutants {
        let count = BATCH.min(mutants - tried);
        let batch: Vec<Vec<u8>> = (0..count)
            .map(|_| mutate(module, &tables, &mut random))
            .collect();
        tried += count;
        refused += refusals(guest, &package.manifest().id, &batch);
        println!("{tried} of {mutants} tried, {refused} refused");
    }
    assert!(
        refused > mutants / 2,
        "only {refused} refused, seed {SEED:#x}"
    );
    guest.bring(package).unwrap();
    guest.apply(package).unwrap();
    guest.undo(package).unwrap();
}

/// Mutants of two kinds share the number; of both nobody calls a function, for what is well formed goes in: a table
/// that names another function to replace is a matter of the signature.
fn mutants() -> usize {
    std::env::var("RESPLICE_MUTANTS").map_or(MUTANTS, |n| n.parse().unwrap()) / 2
}

#[test]
fn tampered_tables_are_refused_or_harmless() {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, SEG6).unwrap().open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring_seg6_check().unwrap();
    try_mutants(&guest, &package, mutants());
    assert_eq!(seg6_check(&guest), Shipped);
    guest.log_is_clean().unwrap();
}

#[test]
fn tampered_tables_about_a_label_of_a_module_are_refused_or_harmless() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/label-in-module.patch").unwrap();
    let package = update.open().unwrap();
    let machine = machine(&target, "max").provide_module("bridge");
    let guest = Guest::start(&machine, &package).unwrap();
    guest.ok("modprobe bridge").unwrap();
    try_mutants(&guest, &package, mutants());
    guest.ok("rmmod bridge").unwrap();
    guest.log_is_clean().unwrap();
}
