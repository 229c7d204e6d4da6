//! Each number in an update's tables that leads out of what it counts, or that
//! nothing stands for, is refused as it is read.

use object::{Object, ObjectSection};
use resplice_tests::guest::{Guest, machine};
use resplice_tests::{CLOUD, target, updates};
use resplice_vm::GuestFile;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// Each has fields that those before it do not use: data, sites of many kinds,
/// hooks.
const PATCHES: [&str; 3] = ["superseded", "slub-emulation", "hooks-loadavg"];
/// Different fields in all of them.
const FIELDS: usize = 86;
const LIMIT: Duration = Duration::from_secs(300);
const NONE: u64 = 0xffff_ffff;

/// The image's tables: what they are called, and the bytes of an entry.
const UNITS: Table = Table("unit", 0, 8);
const SECTIONS: Table = Table("section", 1, 48);
const SYMBOLS: Table = Table("symbol", 2, 24);
const FUNCTIONS: Table = Table("function", 3, 24);
const RELOCS: Table = Table("reloc", 4, 24);
const SITES: Table = Table("site", 5, 16);
const VARIANTS: Table = Table("variant", 6, 32);
const STRINGS: Table = Table("string", 7, 1);
const BYTES: Table = Table("byte", 8, 1);
const TABLES: [Table; 9] = [
    UNITS, SECTIONS, SYMBOLS, FUNCTIONS, RELOCS, SITES, VARIANTS, STRINGS, BYTES,
];

#[derive(Clone, Copy)]
struct Table(&'static str, usize, u64);

/// A field of an entry: where it begins there, and its bytes.
type Field = (&'static str, usize, usize);

/// One number of a module becomes another.
struct Edit {
    field: String,
    at: usize,
    width: usize,
    value: u64,
}

/// A module of an update, as a file.
struct Module {
    bytes: Vec<u8>,
    edits: Vec<Edit>,
}

impl Module {
    fn section(&self, name: &str) -> Option<Range<usize>> {
        let file = object::File::parse(self.bytes.as_slice()).unwrap();
        let section = file.section_by_name(&format!(".init.resplice.{name}"))?;
        let (start, size) = section.file_range()?;
        Some(start as usize..(start + size) as usize)
    }

    fn number(&self, at: usize, width: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.bytes[at..at + width]);
        u64::from_le_bytes(bytes)
    }

    fn image(&self) -> usize {
        self.section("match").unwrap().start
    }

    /// Where the head says where a table begins; behind it, how long it is.
    fn head(&self, table: Table) -> usize {
        self.image() + 16 + table.1 * 8
    }

    fn count(&self, table: Table) -> u64 {
        self.number(self.head(table) + 4, 4)
    }

    fn entry(&self, table: Table, index: u64) -> usize {
        self.image() + (self.number(self.head(table), 4) + index * table.2) as usize
    }

    /// A field of the entry that begins there.
    fn get(&self, entry: usize, (_, offset, width): Field) -> u64 {
        self.number(entry + offset, width)
    }

    fn edit(&mut self, of: &str, entry: usize, (name, offset, width): Field, value: u64) {
        self.edits.push(Edit {
            field: format!("{of}.{name}"),
            at: entry + offset,
            width,
            value,
        });
    }

    /// Takes the first and the last entry that one thing is true of, and gives a
    /// field of theirs the first value that is too much, and the largest.
    fn beyond(
        &mut self,
        table: Table,
        field: Field,
        is_meant: impl Fn(&Self, usize) -> bool,
        first_bad: impl Fn(&Self, usize) -> u64,
    ) {
        let meant: Vec<usize> = (0..self.count(table))
            .map(|index| self.entry(table, index))
            .filter(|entry| is_meant(self, *entry))
            .collect();
        let ends: BTreeSet<usize> = meant
            .first()
            .into_iter()
            .chain(meant.last())
            .copied()
            .collect();
        for entry in ends {
            let bad = first_bad(self, entry);
            let most = if field.2 == 2 { 0xffff } else { NONE - 2 };
            for value in BTreeSet::from([bad, most]) {
                self.edit(table.0, entry, field, value);
            }
        }
    }
}

fn always(_: &Module, _: usize) -> bool {
    true
}

const TEXT: u64 = 0;
const KIND: Field = ("kind", 8, 4);
const SIZE: Field = ("size", 12, 4);

fn is_text(module: &Module, section: usize) -> bool {
    module.get(section, KIND) == TEXT && module.get(section, SIZE) > 0
}

fn head(module: &mut Module) {
    let image = module.image();
    let size = module.number(image + 8, 4);
    for (name, offset, value) in [("magic", 0, 1), ("format", 4, 4), ("size", 8, size + 8)] {
        module.edit("match", image, (name, offset, 4), value);
    }
    for value in [0, module.count(STRINGS), NONE] {
        module.edit("match", image, ("object", 12, 4), value);
    }
    for table in TABLES {
        let at = module.head(table);
        let offset = module.number(at, 4);
        for value in [offset + 4, (size + 8).next_multiple_of(8), NONE - 7] {
            module.edit("match", at, (table.0, 0, 4), value);
        }
        for value in [(size - offset) / table.2 + 1, NONE] {
            module.edit("match", at, (table.0, 4, 4), value);
        }
    }
}

fn sections(module: &mut Module) {
    let units = module.count(UNITS);
    let strings = module.count(STRINGS);
    let bytes = module.count(BYTES);
    module.beyond(SECTIONS, ("unit", 0, 4), always, |_, _| units);
    module.beyond(SECTIONS, ("name", 4, 4), always, |_, _| strings);
    module.beyond(SECTIONS, KIND, always, |_, _| 3);
    module.beyond(SECTIONS, ("align", 44, 4), always, |_, _| 3);
    let at: Field = ("bytes", 16, 4);
    module.beyond(SECTIONS, SIZE, is_text, |m, s| bytes - m.get(s, at) + 1);
    module.beyond(SECTIONS, at, is_text, |m, s| bytes - m.get(s, SIZE) + 1);
    for (table, first, count) in [
        (RELOCS, ("first_reloc", 20, 4), ("nr_relocs", 24, 4)),
        (SITES, ("first_site", 28, 4), ("nr_sites", 32, 4)),
        (
            FUNCTIONS,
            ("first_function", 36, 4),
            ("nr_functions", 40, 4),
        ),
    ] {
        let all = module.count(table);
        module.beyond(SECTIONS, first, is_text, |m, s| all - m.get(s, count) + 1);
        module.beyond(SECTIONS, count, is_text, |m, s| all - m.get(s, first) + 1);
        // Only text has any.
        let is_data = |m: &Module, s: usize| m.get(s, KIND) != TEXT;
        module.beyond(SECTIONS, count, is_data, |_, _| 1);
    }
}

fn symbols(module: &mut Module) {
    const SECTION: Field = ("section", 4, 4);
    const VALUE: Field = ("value", 8, 4);
    const EXTERNAL: u64 = NONE;
    const MERGED: u64 = NONE - 1;
    let (units, strings) = (module.count(UNITS), module.count(STRINGS));
    let (sections, bytes) = (module.count(SECTIONS), module.count(BYTES));
    let is_placed = |m: &Module, s: usize| m.get(s, SECTION) < MERGED;
    let is_merged = |m: &Module, s: usize| m.get(s, SECTION) == MERGED;
    module.beyond(SYMBOLS, ("name", 0, 4), always, |_, _| strings);
    module.beyond(SYMBOLS, ("unit", 20, 4), always, |_, _| units);
    module.beyond(SYMBOLS, SECTION, is_placed, |_, _| sections);
    module.beyond(SYMBOLS, VALUE, is_placed, |m, s| {
        m.get(m.entry(SECTIONS, m.get(s, SECTION)), SIZE) + 1
    });
    module.beyond(SYMBOLS, VALUE, is_merged, |m, s| bytes - m.get(s, SIZE) + 1);
    module.beyond(SYMBOLS, SIZE, is_merged, |m, s| bytes - m.get(s, VALUE) + 1);
    module.beyond(SYMBOLS, SIZE, is_merged, |_, _| 0);
    let is_external = |m: &Module, s: usize| m.get(s, SECTION) == EXTERNAL;
    let found = (0..module.count(SYMBOLS)).map(|index| module.entry(SYMBOLS, index));
    let found = found
        .filter(|entry| is_external(module, *entry))
        .next_back();
    module.edit("symbol", found.unwrap(), ("name", 0, 4), 0);
}

fn functions(module: &mut Module) {
    const SECTION: Field = ("section", 4, 4);
    const OFFSET: Field = ("offset", 8, 4);
    const FLAGS: Field = ("flags", 20, 4);
    let size_of = |m: &Module, f: usize| m.get(m.entry(SECTIONS, m.get(f, SECTION)), SIZE);
    let (symbols, sections) = (module.count(SYMBOLS), module.count(SECTIONS));
    let functions = module.count(FUNCTIONS);
    module.beyond(FUNCTIONS, ("symbol", 0, 4), always, |_, _| symbols);
    module.beyond(FUNCTIONS, SECTION, always, |_, _| sections);
    module.beyond(FUNCTIONS, OFFSET, always, |m, f| {
        size_of(m, f) - m.get(f, SIZE) + 1
    });
    module.beyond(FUNCTIONS, SIZE, always, |m, f| {
        size_of(m, f) - m.get(f, OFFSET) + 1
    });
    module.beyond(FUNCTIONS, ("parent", 16, 4), always, |_, _| functions);
    // Its slot for the tracer takes five bytes.
    module.beyond(FUNCTIONS, SIZE, |m, f| m.get(f, FLAGS) == 1, |_, _| 4);
}

fn relocs(module: &mut Module) {
    const TYPE: Field = ("type", 4, 4);
    let symbols = module.count(SYMBOLS);
    module.beyond(RELOCS, ("symbol", 8, 4), always, |_, _| symbols);
    module.beyond(RELOCS, TYPE, always, |_, _| 255);
    let sections = (0..module.count(SECTIONS)).map(|index| module.entry(SECTIONS, index));
    let with_code: Vec<usize> = sections.filter(|s| is_text(module, *s)).collect();
    for section in [with_code[0], with_code[with_code.len() - 1]] {
        let size = module.get(section, SIZE);
        let (first, count) = (
            module.number(section + 20, 4),
            module.number(section + 24, 4),
        );
        if count < 2 {
            continue;
        }
        let last = module.entry(RELOCS, first + count - 1);
        let before = module.number(module.entry(RELOCS, first + count - 2), 4);
        for value in [size - 3, NONE, before] {
            module.edit("reloc", last, ("offset", 0, 4), value);
        }
    }
}

/// What a site of each kind must not say.
fn sites(module: &mut Module) {
    const KIND: Field = ("kind", 4, 2);
    const A: Field = ("a", 8, 4);
    const B: Field = ("b", 12, 4);
    let is = |kind: u64| move |m: &Module, s: usize| m.get(s, KIND) == kind;
    let (symbols, sections) = (module.count(SYMBOLS), module.count(SECTIONS));
    let variants = module.count(VARIANTS);
    module.beyond(SITES, KIND, always, |_, _| 12);
    module.beyond(SITES, ("offset", 0, 4), always, |_, _| 1 << 26);
    for (name, kind, len) in [
        ("len of fentry", 1, 4),
        ("len of return", 2, 4),
        ("len of retpoline", 3, 4),
        ("len of alternative", 4, 256),
        ("len of paravirt", 5, 4),
        ("len of lock", 6, 2),
        ("len of label", 7, 4),
        ("len of static call", 8, 4),
        ("len of endbr", 10, 5),
    ] {
        module.beyond(SITES, (name, 6, 2), is(kind), |_, _| len);
    }
    for (name, kind, bad) in [
        ("retpoline", 3, 16),
        ("paravirt", 5, 256),
        ("label", 7, sections),
        ("static call", 8, symbols),
    ] {
        module.beyond(SITES, (name, 8, 4), is(kind), |_, _| bad);
    }
    module.beyond(SITES, ("first variant", 8, 4), is(4), |m, s| {
        variants - m.get(s, B) + 1
    });
    module.beyond(SITES, ("variants", 12, 4), is(4), |m, s| {
        variants - m.get(s, A) + 1
    });
    module.beyond(SITES, ("label's target", 12, 4), is(7), |m, s| {
        m.get(m.entry(SECTIONS, m.get(s, A)), SIZE)
    });
}

fn variants(module: &mut Module) {
    const AT: Field = ("bytes", 0, 4);
    const LEN: Field = ("len", 4, 4);
    const FIRST: Field = ("first_reloc", 8, 4);
    const COUNT: Field = ("nr_relocs", 12, 4);
    let (bytes, relocs) = (module.count(BYTES), module.count(RELOCS));
    module.beyond(VARIANTS, AT, always, |m, v| bytes - m.get(v, LEN) + 1);
    module.beyond(VARIANTS, LEN, always, |_, _| 256);
    module.beyond(VARIANTS, FIRST, always, |m, v| relocs - m.get(v, COUNT) + 1);
    module.beyond(VARIANTS, COUNT, always, |m, v| relocs - m.get(v, FIRST) + 1);
    let strings = module.count(STRINGS);
    module.beyond(UNITS, ("name", 0, 4), always, |_, _| strings);
}

/// The module's own part.
fn own(module: &mut Module) {
    let update = module.section("update").unwrap().start;
    for (name, offset, value) in [
        ("magic", 0, 1),
        ("format", 4, 2),
        ("size", 8, 151),
        ("flags", 12, 4),
        ("match_size", 88, 8),
        ("nr_late", 112, 1 << 22),
        ("nr_late", 112, NONE),
        ("nr_replace", 116, 4096),
        ("nr_replace", 116, NONE),
        ("nr_data", 136, 1 << 20),
        ("nr_hooks", 140, 257),
        ("part", 144, 1),
        ("nr_parts", 148, 0),
        ("nr_parts", 148, 65),
        ("nr_supersedes", 160, 257),
        ("nr_supersedes", 160, 1),
        ("reserved", 164, 1),
    ] {
        module.edit("update", update, (name, offset, 4), value);
    }
    module.edit(
        "update",
        update,
        ("id", 16, 2),
        u64::from(u16::from_le_bytes(*b"xy")),
    );
    let (symbols, functions) = (module.count(SYMBOLS), module.count(FUNCTIONS));
    let ends = |module: &Module, name: &str, entry: usize| {
        let range = module.section(name).unwrap_or_default();
        let last = range.end.checked_sub(entry).filter(|_| !range.is_empty());
        let first = last.map(|_| range.start);
        first.into_iter().chain(last).collect::<BTreeSet<usize>>()
    };
    for late in ends(module, "late", 32) {
        for (name, offset, value) in [
            ("symbol", 16, symbols),
            ("symbol", 16, NONE),
            ("type", 20, 255),
            ("feature", 24, NONE - 1),
            ("reserved", 28, 1),
        ] {
            module.edit("late", late, (name, offset, 4), value);
        }
    }
    for replace in ends(module, "replace", 16) {
        for (name, offset, value) in [
            ("old", 8, functions),
            ("old", 8, NONE),
            ("size", 12, 0),
            ("size", 12, 1 << 26),
            ("size", 12, NONE),
        ] {
            module.edit("replace", replace, (name, offset, 4), value);
        }
    }
    for data in ends(module, "data", 32) {
        for (name, offset, value) in [
            ("symbol", 16, symbols),
            ("symbol", 16, NONE),
            ("offset", 20, 1 << 20),
            ("offset", 20, NONE),
            ("size", 24, 0),
            ("size", 24, (1 << 20) + 1),
            ("size", 24, NONE),
            ("reserved", 28, 1),
        ] {
            module.edit("data", data, (name, offset, 4), value);
        }
    }
    for hook in ends(module, "hooks", 16) {
        for (name, offset, value) in [("kind", 8, 10), ("kind", 8, NONE), ("after", 12, 257)] {
            module.edit("hook", hook, (name, offset, 4), value);
        }
    }
}

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
        for all in [
            head, sections, symbols, functions, relocs, sites, variants, own,
        ] {
            all(&mut module);
        }
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
