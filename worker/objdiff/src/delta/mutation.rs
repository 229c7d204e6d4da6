//! Errors planted into finished deltas, one at a time, at every place where
//! they can be: the check of the linked module must catch each of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::assemble::{self, Draft, Late};
use super::elf::{OutReloc, OutSection, OutSymbol, OutTarget, SHT_NOBITS};
use super::{Identity, ImageBuilder, UnitInput, collect, update};
use crate::diff::UnitDiff;
use crate::elf::SectionKind;
use crate::linked;
use crate::names;
use crate::plan::Plan;
use crate::symvers::Symvers;
use crate::testing::{compile, link};

const ID: &str = "rsp_mutant";
const OBJECT: &str = "vmlinux";
const FLAGS: [&str; 4] = ["-pg", "-mfentry", "-mrecord-mcount", "-fno-jump-tables"];
const SPLIT: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];

/// Units with something of everything.
const UNITS: [&str; 2] = [
    include_str!("../../tests/mutation/tables.c"),
    include_str!("../../tests/mutation/data.c"),
];

struct Compiled {
    name: String,
    reference: Vec<u8>,
    pre: Vec<u8>,
    post: Vec<u8>,
}

fn compiled() -> Vec<Compiled> {
    let header = include_str!("../../tests/cases/kernel.h");
    UNITS
        .iter()
        .enumerate()
        .map(|(index, source)| {
            let pre = format!("{header}\n{source}");
            let post = format!("#define POST\n{pre}");
            let split = [&FLAGS[..], &SPLIT[..]].concat();
            Compiled {
                name: format!("unit{index}.c"),
                reference: compile(&pre, &FLAGS),
                pre: compile(&pre, &split),
                post: compile(&post, &split),
            }
        })
        .collect()
}

/// A planted error.
struct Mutant {
    what: String,
    draft: Draft,
}

struct Nursery<'a> {
    draft: &'a Draft,
    mutants: Vec<Mutant>,
}

impl Nursery<'_> {
    fn plant(&mut self, what: impl Into<String>, change: impl FnOnce(&mut Draft)) {
        let mut draft = self.draft.clone();
        change(&mut draft);
        self.mutants.push(Mutant {
            what: what.into(),
            draft,
        });
    }

    /// Every relocation: another addend, another target, another type, none.
    fn relocations(&mut self) {
        for (index, section) in self.draft.sections.iter().enumerate() {
            for (at, reloc) in section.relocs.iter().enumerate() {
                let what = format!("{index} {}+{:#x}", section.name, reloc.offset);
                for by in [1, -1, 4, 16] {
                    self.plant(format!("{what}: addend {by:+}"), |d| {
                        d.sections[index].relocs[at].addend += by;
                    });
                }
                let others = self.targets(&reloc.to);
                for to in others {
                    self.plant(format!("{what}: {to:?} for {:?}", reloc.to), |d| {
                        d.sections[index].relocs[at].to = to.clone();
                    });
                }
                let kind = if reloc.kind == 2 || reloc.kind == 4 {
                    11
                } else {
                    2
                };
                self.plant(format!("{what}: type {kind}"), |d| {
                    d.sections[index].relocs[at].kind = kind;
                });
                self.plant(format!("{what}: dropped"), |d| {
                    d.sections[index].relocs.remove(at);
                });
            }
        }
    }

    /// Other things that a relocation could be against: the next sections, and
    /// another import.
    fn targets(&self, to: &OutTarget) -> Vec<OutTarget> {
        let count = self.draft.sections.len();
        let own = match to {
            OutTarget::Section(index) => *index,
            OutTarget::Import(_) => 0,
        };
        let same = |index: usize| {
            let (a, b) = (&self.draft.sections[own], &self.draft.sections[index]);
            a.bytes == b.bytes && a.relocs == b.relocs && a.size == b.size
        };
        let near = (1..4).map(|step| (own + step) % count);
        let sections = near.filter(|i| !same(*i)).map(OutTarget::Section);
        let imports = ["take", "sink"].map(|n| OutTarget::Import(n.to_owned()));
        sections
            .chain(imports)
            .filter(|other| other != to)
            .collect()
    }

    /// Every late relocation likewise, and as an import.
    fn late(&mut self, names: &[String]) {
        for (at, late) in self.draft.late.iter().enumerate() {
            let name = &names[late.symbol as usize];
            let what = format!("late {name} {}+{:#x}", late.section, late.offset);
            let mut change = |how: &str, change: &dyn Fn(&mut Late)| {
                self.plant(format!("{what}: {how}"), |d| change(&mut d.late[at]));
            };
            for by in [1, -1, 4, -8] {
                change("addend", &|l| l.addend += by);
            }
            for step in 1..names.len() as u32 {
                change("another symbol", &|l| {
                    l.symbol = (l.symbol + step) % names.len() as u32;
                });
            }
            // The other width of a constant, or another type.
            change("type", &|l| {
                l.kind = match l.kind {
                    0x100 | 0x101 => l.kind ^ 1,
                    1 => 2,
                    _ => 1,
                };
            });
            change("feature", &|l| {
                l.feature = l.feature.map_or(Some(7), |_| None);
            });
            change("opposite feature", &|l| {
                l.feature = Some(l.feature.unwrap_or(3) ^ 0x8000);
            });
            change("place", &|l| l.offset += 1);
            self.plant(format!("{what}: dropped"), |d| {
                d.late.remove(at);
            });
            let reloc = |to: OutTarget| OutReloc {
                offset: late.offset,
                kind: late.kind,
                to,
                addend: late.addend,
            };
            self.plant(format!("{what}: imported"), |d| {
                d.late.remove(at);
                let to = OutTarget::Import(name.clone());
                add_reloc(&mut d.sections[late.section], reloc(to));
            });
            // A static variable of its own instead of the running one.
            self.plant(format!("{what}: duplicated"), |d| {
                d.late.remove(at);
                let own = d.sections.len();
                let mut section = OutSection::new(".bss", 3, 8, Vec::new());
                section.sh_type = SHT_NOBITS;
                section.size = 4;
                d.sections.push(section);
                d.symbols.push(OutSymbol {
                    name: name.clone(),
                    is_function: false,
                    is_global: false,
                    section: own,
                    size: 4,
                });
                add_reloc(
                    &mut d.sections[late.section],
                    reloc(OutTarget::Section(own)),
                );
            });
        }
    }

    fn replacements(&mut self, functions: usize) {
        for (at, replace) in self.draft.replace.iter().enumerate() {
            let what = format!("replacement {at}");
            for step in 1..functions as u32 {
                self.plant(format!("{what}: of another function"), |d| {
                    d.replace[at].old = (replace.old + step) % functions as u32;
                });
            }
            for size in [replace.size + 1, replace.size - 1, 0] {
                self.plant(format!("{what}: size"), |d| d.replace[at].size = size);
            }
            for (section, out) in self.draft.sections.iter().enumerate() {
                if section != replace.section && out.flags & 4 != 0 {
                    self.plant(format!("{what}: by section {section}"), |d| {
                        d.replace[at].section = section;
                    });
                }
            }
            self.plant(format!("{what}: dropped"), |d| {
                d.replace.remove(at);
            });
            self.plant(format!("{what}: twice"), |d| {
                d.replace.push(replace.clone())
            });
        }
    }

    fn exchanges(&mut self, symbols: usize) {
        for (at, data) in self.draft.data.iter().enumerate() {
            let what = format!("exchange {at}");
            for step in 1..symbols as u32 {
                self.plant(format!("{what}: of another symbol"), |d| {
                    d.data[at].symbol = (data.symbol + step) % symbols as u32;
                });
            }
            for (size, offset) in [(8, 0), (0, 8), (u64::MAX - 7, 0)] {
                self.plant(format!("{what}: size or offset"), |d| {
                    d.data[at].size = data.size.wrapping_add(size);
                    d.data[at].offset = data.offset + offset;
                });
            }
            self.plant(format!("{what}: turned round"), |d| {
                d.data[at].before = data.after;
                d.data[at].after = data.before;
            });
            self.plant(format!("{what}: not at all"), |d| {
                d.data[at].after = data.before;
            });
            self.plant(format!("{what}: dropped"), |d| {
                d.data.remove(at);
            });
            self.plant(format!("{what}: twice"), |d| d.data.push(data.clone()));
        }
    }

    /// Every section: contents, size, flags, name; table entries gone or twice.
    fn sections(&mut self) {
        for (index, section) in self.draft.sections.iter().enumerate() {
            let what = format!("section {index} {}", section.name);
            let is_table = section.name.starts_with("__") || section.name.starts_with(".orc");
            for at in (0..section.bytes.len()).step_by(if is_table { 1 } else { 3 }) {
                self.plant(format!("{what}: byte {at:#x}"), |d| {
                    d.sections[index].bytes[at] ^= 1 << (at % 8);
                });
            }
            self.plant(format!("{what}: flags"), |d| d.sections[index].flags ^= 1);
            // The kernel reads the list of fentry slots at any alignment.
            if section.align > 1 && section.name != "__mcount_loc" {
                self.plant(format!("{what}: align"), |d| d.sections[index].align = 1);
            }
            self.plant(format!("{what}: cut off"), |d| cut(&mut d.sections[index]));
            let kind = SectionKind::classify(&section.name, section.flags);
            let third = section
                .relocs
                .get(2)
                .map_or(section.size, |reloc| reloc.offset);
            let entry = kind.and_then(|kind| crate::sites::entry_bytes(kind, third));
            for start in (0..section.size).step_by(entry.unwrap_or(u64::MAX).min(1 << 40) as usize)
            {
                if let Some(size) = entry.filter(|_| section.name != ".orc_unwind_ip") {
                    self.plant(format!("{what}: entry {start:#x} dropped"), |d| {
                        drop_entry(d, index, start, size);
                    });
                    self.plant(format!("{what}: entry {start:#x} twice"), |d| {
                        repeat_entry(&mut d.sections[index], start, size);
                    });
                }
            }
        }
    }

    /// Cold parts that are not there.
    fn cold_parts(&mut self) {
        for symbol in &self.draft.symbols {
            if names::cold_parent(&symbol.name).is_some() {
                self.plant(format!("{} omitted", symbol.name), |d| {
                    d.symbols.retain(|s| s.name != symbol.name);
                    let section = &mut d.sections[symbol.section];
                    section.bytes.clear();
                    section.relocs.clear();
                    section.size = 0;
                });
            }
        }
    }
}

fn add_reloc(section: &mut OutSection, reloc: OutReloc) {
    section.relocs.push(reloc);
    section.relocs.sort_by_key(|r| r.offset);
}

fn cut(section: &mut OutSection) {
    section.size /= 2;
    let size = section.size;
    if section.sh_type != SHT_NOBITS {
        section.bytes.truncate(size as usize);
    }
    section.relocs.retain(|r| r.offset + 8 <= size);
}

fn drop_entry(draft: &mut Draft, index: usize, start: u64, size: u64) {
    let section = &mut draft.sections[index];
    section.bytes.drain(start as usize..(start + size) as usize);
    section.size -= size;
    section
        .relocs
        .retain(|r| !(start..start + size).contains(&r.offset));
    for reloc in &mut section.relocs {
        if reloc.offset > start {
            reloc.offset -= size;
        }
    }
    draft
        .late
        .retain(|l| l.section != index || !(start..start + size).contains(&l.offset));
    for late in &mut draft.late {
        if late.section == index && late.offset > start {
            late.offset -= size;
        }
    }
}

fn repeat_entry(section: &mut OutSection, start: u64, size: u64) {
    let copy = section.bytes[start as usize..(start + size) as usize].to_vec();
    let by = section.size - start;
    let again: Vec<OutReloc> = section
        .relocs
        .iter()
        .filter(|r| (start..start + size).contains(&r.offset))
        .cloned()
        .map(|mut r| {
            r.offset += by;
            r
        })
        .collect();
    section.bytes.extend_from_slice(&copy);
    section.size += size;
    section.relocs.extend(again);
}

#[test]
fn every_planted_error_is_caught() {
    let compiled = compiled();
    let inputs: Vec<UnitInput<'_>> = compiled
        .iter()
        .map(|c| UnitInput {
            name: &c.name,
            reference: &c.reference,
            pre: &c.pre,
            post: &c.post,
            touched: None,
            declared: &[],
        })
        .collect();
    let symvers = symvers();
    let diffs: Vec<UnitDiff> = inputs.iter().map(|u| UnitDiff::new(u).unwrap()).collect();
    let identity = Identity::new(ID).unwrap();
    let mut set = collect::Set::new(ID, OBJECT, diffs, &symvers);
    set.offers = added(&set);
    set.collect();
    let plan: Plan = set.plan();
    let refused: Vec<_> = plan.refused().map(ToString::to_string).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let image = || {
        let mut builder = ImageBuilder::new(OBJECT);
        let add = |d: &UnitDiff| builder.add_unit(&d.plan.name, &d.reference.object).unwrap();
        let ids = set.units.iter().map(add).collect();
        let functions = builder.image().functions.len();
        (update::ImageSymbols::new(builder, ids), functions)
    };
    let (mut symbols, functions) = image();
    let draft = assemble::assemble(&set, &mut symbols).unwrap();
    let names = symbols.names();
    let write = |draft: Draft| {
        let (mut symbols, _) = image();
        // The externals are added while links are written.
        assemble::assemble(&set, &mut symbols).unwrap();
        update::finish(&identity, 0, update::Part::ONLY, draft, symbols, OBJECT)
    };
    let units: Vec<linked::Unit<'_>> = inputs
        .iter()
        .map(|u| linked::Unit::read(u).unwrap())
        .collect();
    let problem = |bytes: &[u8]| linked::problem(bytes, &identity, &plan, &units, &symvers);
    let good = write(draft.clone()).unwrap();
    assert_eq!(problem(&good), None);
    assert_eq!(problem(&link(&[&good], &["-r"])), None);

    let mut nursery = Nursery {
        draft: &draft,
        mutants: Vec::new(),
    };
    nursery.relocations();
    nursery.late(&names);
    nursery.replacements(functions);
    nursery.exchanges(names.len());
    nursery.sections();
    nursery.cold_parts();
    let mutants = nursery.mutants;
    println!("{} errors planted", mutants.len());
    assert!(mutants.len() > 2000, "{} mutants", mutants.len());
    let is_missed = |mutant: &Mutant| {
        let written = write(mutant.draft.clone());
        written.is_ok_and(|bytes| problem(&bytes).is_none())
    };
    let share = mutants.len().div_ceil(4);
    let missed: Vec<&str> = std::thread::scope(|scope| {
        let threads: Vec<_> = mutants
            .chunks(share)
            .map(|some| scope.spawn(|| some.iter().filter(|m| is_missed(m)).collect::<Vec<_>>()))
            .collect();
        let found = threads.into_iter().flat_map(|t| t.join().unwrap());
        found.map(|m| m.what.as_str()).collect()
    });
    assert!(missed.is_empty(), "{} missed: {missed:#?}", missed.len());
}

/// All new functions, as if the parts of modules called them.
fn added(set: &collect::Set<'_>) -> std::collections::BTreeMap<String, super::route::Ref> {
    let mut added = std::collections::BTreeMap::new();
    for (unit, diff) in set.units.iter().enumerate() {
        for name in &diff.plan.added {
            added.extend(diff.post.global(name).map(|id| (name.clone(), (unit, id))));
        }
    }
    assert!(!added.is_empty());
    added
}

fn symvers() -> Symvers {
    let names = [
        "__fentry__",
        "__x86_return_thunk",
        "take",
        "sink",
        "_printk",
        "fast",
    ];
    let lines = names.map(|name| format!("0x1\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n"));
    Symvers::parse(&lines.concat()).unwrap()
}
