//! A delta object, read as the linker and the core read it.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Failed;
use resplice_objdiff::elf::{Definition, Object};
use resplice_objdiff::sites::entry_size;

/// sizeof(struct resplice_late).
const LATE_BYTES: usize = 32;
/// sizeof(struct resplice_symbol).
const SYMBOL_BYTES: usize = 24;
/// In struct resplice_match: the tables begin here, 8 bytes each.
const TABLES: usize = 16;
const SYMBOLS: usize = 2;
const STRINGS: usize = 7;

/// What is in a delta.
pub struct Contents {
    late: BTreeSet<String>,
    late_in: BTreeSet<String>,
    imports: BTreeSet<String>,
    symbols: BTreeSet<String>,
    entries: BTreeMap<String, u64>,
}

impl Contents {
    /// Reads a delta.
    pub fn read(bytes: &[u8]) -> Result<Self, Failed> {
        let file = Object::parse(bytes)?;
        let names = image_names(&file)?;
        let mut contents = Self {
            late: BTreeSet::new(),
            late_in: BTreeSet::new(),
            imports: BTreeSet::new(),
            symbols: BTreeSet::new(),
            entries: BTreeMap::new(),
        };
        let late = file
            .section_named(".init.resplice.late")
            .ok_or("no late relocations")?;
        for (index, record) in late.bytes.chunks(LATE_BYTES).enumerate() {
            let place = late
                .reloc_at((index * LATE_BYTES) as u64)
                .and_then(|r| file.reloc_place(r))
                .ok_or("a late relocation without a place")?;
            let symbol = word(record, 16)? as usize;
            let name = names.get(symbol).ok_or("a late relocation of no symbol")?;
            contents.late.insert(name.clone());
            let section = &file.section(place.section).name;
            contents.late_in.insert(section.clone());
        }
        for symbol in file.symbols.iter().skip(1) {
            let list = match symbol.definition {
                Definition::Undefined => &mut contents.imports,
                _ => &mut contents.symbols,
            };
            list.insert(symbol.name.clone());
        }
        for section in &file.sections {
            if let Some(size) = entry_size(section) {
                *contents.entries.entry(section.name.clone()).or_default() += section.size / size;
            }
        }
        Ok(contents)
    }

    /// Compares one fact; says what is wrong.
    pub fn check(&self, key: &str, want: &BTreeSet<String>) -> Option<String> {
        let is = match key {
            "late" => self.late.clone(),
            "late-in" => self.late_in.clone(),
            "imports" => {
                let fentry = "__fentry__".to_owned();
                let ends = "__x86_return_thunk".to_owned();
                &self.imports - &BTreeSet::from([fentry, ends])
            }
            "has" => want & &self.symbols,
            "lacks" => want - &self.symbols,
            _ => want.iter().map(|fact| self.entries_of(fact)).collect(),
        };
        (is != *want).then(|| format!("{key}: {is:?} instead of {want:?}"))
    }

    fn entries_of(&self, fact: &str) -> String {
        let table = fact.split(' ').next().unwrap_or_default();
        format!("{table} {}", self.entries.get(table).unwrap_or(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, Failed> {
    let field = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    Ok(u32::from_le_bytes(field.ok_or("a record is cut off")?))
}

/// The names of the match image's symbols, by index.
fn image_names(file: &Object) -> Result<Vec<String>, Failed> {
    let image = file
        .section_named(".init.resplice.match")
        .ok_or("no match image")?;
    let table = |index: usize| -> Result<(usize, usize), Failed> {
        let at = TABLES + 8 * index;
        let (start, count) = (word(&image.bytes, at)?, word(&image.bytes, at + 4)?);
        Ok((start as usize, count as usize))
    };
    let (symbols, count) = table(SYMBOLS)?;
    let (strings, _) = table(STRINGS)?;
    (0..count)
        .map(|index| {
            let at = word(&image.bytes, symbols + SYMBOL_BYTES * index)? as usize;
            let name = image.bytes.get(strings + at..).unwrap_or_default();
            let end = name.iter().position(|b| *b == 0).unwrap_or(0);
            Ok(String::from_utf8_lossy(&name[..end]).into_owned())
        })
        .collect()
}
