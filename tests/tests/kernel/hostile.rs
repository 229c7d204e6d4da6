//! Update modules whose tables have been tampered with.

use crate::{SEG6, Shipped, seg6_check};
use object::{Object, ObjectSection};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;
use std::time::Duration;

/// How many modules are tried in the one guest, unless `RESPLICE_MUTANTS` says another number.
const MUTANTS: usize = 200;
/// How many of them are brought at a time.
const BATCH: usize = 200;
/// For a batch, on a kernel that watches over itself.
const LIMIT: Duration = Duration::from_secs(900);
/// Printed with a failure; the same seed makes the same modules.
const SEED: u64 = 0x5eed_0001;

/// A small generator (xorshift64*): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit
    }
}

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
fn mutate(module: &[u8], tables: &[std::ops::Range<usize>], random: &mut Random) -> Vec<u8> {
    let mut mutant = module.to_vec();
    for _ in 0..=random.below(4) {
        let table = &tables[random.below(tables.len())];
        // The image's head is small and matters most: hit it often.
        let span = if random.below(2) == 0 {
            table.len().min(128)
        } else {
            table.len()
        };
        let at = table.start + random.below(span / 4) * 4;
        let word = match random.below(4) {
            0 => 0,
            1 => u32::MAX,
            2 => u32::try_from(random.below(1 << 16)).unwrap(),
            _ => 1 << random.below(32),
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
             echo 0 > /sys/kernel/resplice/updates/{id}/enabled || true; rmmod {id} || exit 1; \
           else refused=$((refused + 1)); fi; \
         done; rm /root/m/*.ko; echo $refused"
    );
    let output = guest.vm.run_ok(&script, LIMIT).unwrap();
    output.text().trim().parse().unwrap()
}

#[test]
fn tampered_tables_are_refused_or_harmless() {
    let target = target(CLOUD).unwrap();
    let package = updates::build(&target, SEG6).unwrap().open().unwrap();
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    guest.bring_seg6_check().unwrap();
    let module = package.parts().unwrap()[0].bytes;
    let tables = tables(module);
    assert!(tables.len() >= 3, "the update has lost its tables");
    let mut random = Random(SEED);
    let mutants = std::env::var("RESPLICE_MUTANTS").map_or(MUTANTS, |n| n.parse().unwrap());
    let (mut tried, mut refused) = (0, 0);
    while tried < mutants {
        let count = BATCH.min(mutants - tried);
        let batch: Vec<Vec<u8>> = (0..count)
            .map(|_| mutate(module, &tables, &mut random))
            .collect();
        tried += count;
        refused += refusals(&guest, &package.manifest().id, &batch);
        println!("{tried} of {mutants} tried, {refused} refused");
    }
    assert!(
        refused > mutants / 2,
        "only {refused} refused, seed {SEED:#x}"
    );
    assert_eq!(seg6_check(&guest), Shipped);
    guest.bring(&package).unwrap();
    guest.apply(&package).unwrap();
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}
