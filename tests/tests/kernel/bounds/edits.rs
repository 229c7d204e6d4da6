//! What each field of each table must not say.

use super::module::*;
use std::collections::BTreeSet;

/// Every number of every table, one past what it may be.
pub fn all(module: &mut Module) {
    for some in [
        head, sections, symbols, functions, relocs, sites, variants, own,
    ] {
        some(module);
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
    let last = (0..module.count(SYMBOLS))
        .map(|index| module.entry(SYMBOLS, index))
        .rfind(|entry| is_external(module, *entry));
    module.edit("symbol", last.unwrap(), ("name", 0, 4), 0);
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
