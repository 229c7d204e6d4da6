//! Update modules whose tables have been tampered with.

use crate::{SEG6, VULNERABLE, seg6_check};
use object::{Object, ObjectSection};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;

/// How many modules are tried in the one guest.
const MUTANTS: usize = 200;
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
    let mutants: Vec<GuestFile> = (0..MUTANTS)
        .map(|index| {
            let mutant = mutate(module, &tables, &mut random);
            GuestFile::new(format!("/root/m/{index}.ko"), 0o600, mutant)
        })
        .collect();
    guest.vm.push(&mutants).unwrap();

    let id = &package.manifest().id;
    let refused = guest
        .ok(&format!(
            "refused=0; for m in /root/m/*.ko; do \
               if insmod $m 2>/dev/null; then \
                 echo 0 > /sys/kernel/resplice/updates/{id}/enabled || true; rmmod {id} || exit 1; \
               else refused=$((refused + 1)); fi; \
             done; echo $refused"
        ))
        .unwrap();
    let refused: usize = refused.parse().unwrap();
    assert!(
        refused > MUTANTS / 2,
        "only {refused} refused, seed {SEED:#x}"
    );
    assert_eq!(seg6_check(&guest), VULNERABLE);
    guest.bring(&package).unwrap();
    guest.apply(&package).unwrap();
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}
