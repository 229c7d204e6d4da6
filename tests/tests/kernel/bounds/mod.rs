//! Each number in an update's tables that leads out of what it counts, or that
//! nothing stands for, is refused as it is read.

mod edits;
mod module;

use module::{FUNCTIONS, Module, SITES};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;
use std::collections::BTreeSet;
use std::time::Duration;

/// Each has fields that those before it do not use: data, sites of many kinds,
/// hooks.
const PATCHES: [&str; 3] = ["superseded", "slub-emulation", "hooks-loadavg"];
/// Different fields in all of them.
const FIELDS: usize = 86;
const LIMIT: Duration = Duration::from_secs(300);

/// Loads each module; what came of it, a line each.
fn load(guest: &Guest, id: &str, module: &Module) -> Vec<String> {
    let files: Vec<GuestFile> = module
        .edits
        .iter()
        .enumerate()
        .map(|(index, edit)| {
            let mut bytes = module.bytes.clone();
            let value = edit.value.to_le_bytes();
            bytes[edit.at..edit.at + edit.width].copy_from_slice(&value[..edit.width]);
            GuestFile::new(format!("/root/m/{index:04}.ko"), 0o600, bytes)
        })
        .collect();
    guest.vm.push(&files).unwrap();
    let script = format!(
        "for m in /root/m/*.ko; do \
           if insmod $m 2>/dev/null; then \
             echo 'went in'; echo 0 > /sys/kernel/resplice/updates/{id}/enabled; rmmod {id}; \
           else tail -n 1 /sys/kernel/resplice/report; fi; \
         done; rm -r /root/m"
    );
    let output = guest.vm.run(&script, LIMIT).unwrap();
    assert!(output.success(), "{}", output.text());
    output.text().lines().map(str::to_owned).collect()
}

#[test]
fn a_number_that_leads_out_of_its_table_is_refused_as_it_is_read() {
    let target = target(CLOUD).unwrap();
    let mut fields = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for patch in PATCHES {
        let update = updates::build(&target, &format!("tests/patches/{patch}.patch")).unwrap();
        let package = update.open().unwrap();
        let mut module = Module {
            bytes: package.parts().unwrap()[0].bytes.to_vec(),
            edits: Vec::new(),
        };
        edits::all(&mut module);
        // Once is enough: each module takes a while.
        module.edits.retain(|edit| !fields.contains(&edit.field));
        assert!(!module.edits.is_empty(), "{patch} has no field of its own");
        println!("{patch}: {} modules", module.edits.len());
        let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
        let said = load(&guest, &package.manifest().id, &module);
        assert_eq!(said.len(), module.edits.len(), "{said:?}");
        for (edit, said) in module.edits.iter().zip(&said) {
            if !said.starts_with("format: ") {
                wrong.push(format!(
                    "{patch}: {} = {:#x}: {said}",
                    edit.field, edit.value
                ));
            }
        }
        tried += said.len();
        fields.extend(module.edits.into_iter().map(|edit| edit.field));
        guest.bring(&package).unwrap();
        guest.apply(&package).unwrap();
        guest.undo(&package).unwrap();
        guest.log_is_clean().unwrap();
    }
    println!("{tried} tried, of {} fields", fields.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        fields.len(),
        FIELDS,
        "some field is in none of them: {fields:?}"
    );
}

/// As a label that nobody knows: the tracer's slot, a NOP like those of labels,
/// where the jump goes if the function has no such slot.
fn claim_label(module: &Module) -> Vec<u8> {
    let mut bytes = module.bytes.clone();
    let replace = module.section("replace").unwrap().start;
    let function = module.entry(FUNCTIONS, module.number(replace + 8, 4));
    let (section, offset) = (
        module.number(function + 4, 4),
        module.number(function + 8, 4),
    );
    let site = (0..module.count(SITES))
        .map(|index| module.entry(SITES, index))
        .find(|site| module.number(*site, 4) == offset && module.number(site + 4, 2) == 1)
        .unwrap();
    let mut set = |at: usize, value: u64, width: usize| {
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    set(function + 20, 0, 4);
    set(site + 4, 7, 2);
    set(site + 8, section, 4);
    set(site + 12, offset, 4);
    bytes
}

#[test]
fn a_label_that_the_kernel_does_not_know_is_not_held() {
    let target = target(CLOUD).unwrap();
    let update = updates::build(&target, "tests/patches/fs-loadavg.patch").unwrap();
    let package = update.open().unwrap();
    let bytes = package.parts().unwrap()[0].bytes.to_vec();
    let module = Module {
        bytes,
        edits: Vec::new(),
    };
    let guest = Guest::start(&machine(&target, "max"), &package).unwrap();
    let file = GuestFile::new("/root/claims.ko", 0o600, claim_label(&module));
    guest.vm.push(&[file]).unwrap();
    assert!(!guest.run("insmod /root/claims.ko").unwrap().success());
    let report = guest.report().unwrap();
    assert!(
        report.contains(
            "site: loadavg_proc_show: the jump would cover a jump label that cannot be held"
        ),
        "{report}"
    );
    guest.bring(&package).unwrap();
    guest.apply(&package).unwrap();
    guest.undo(&package).unwrap();
    guest.log_is_clean().unwrap();
}
