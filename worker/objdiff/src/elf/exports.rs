//! What a module exports: its array of `struct kernel_symbol`
//! (include/linux/export.h of 6.1, with relative fields), or what modpost makes
//! that of (the same of 6.5 and later).

use std::collections::BTreeMap;

use super::{Binding, Object, RelocKind, Section, Symbol};

/// Bytes of struct kernel_symbol: where the symbol is, its name, its name space.
pub const EXPORT_BYTES: usize = 12;

/// The section that modpost reads.
pub const EXPORTS_FOR_MODPOST: &str = ".export_symbol";
/// What a label in it begins with; the name follows.
pub const MODPOST_LABEL: &str = "__export_symbol_";

const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const STRINGS: &str = "__ksymtab_strings";

/// All exports of a module or of a delta: names, and the section and offset of
/// what they mean.
pub fn exports(file: &Object) -> Result<BTreeMap<String, (u32, u64)>, String> {
    let mut exports = BTreeMap::new();
    let tables = file.sections.iter().filter(|section| {
        let name = section.name.trim_start_matches('_');
        name.starts_with("ksymtab") && !name.starts_with("ksymtab_strings")
    });
    for table in tables {
        if !is_read_only(table) || table.align < 4 {
            return Err(format!("{} is no table of exports", table.name));
        }
        for start in (0..table.size).step_by(EXPORT_BYTES) {
            let place = |at: u64| {
                let reloc = table.reloc_at(start + at)?;
                let place = file.reloc_place(reloc)?;
                (reloc.kind == RelocKind::Pc32).then_some(place)
            };
            let text = |at: u64| {
                let place = place(at)?;
                let section = file.section(place.section);
                let rest = section.bytes_in(place.offset, section.size)?;
                let end = rest.iter().position(|byte| *byte == 0)?;
                let text = rest
                    .get(..end)
                    .filter(|_| section.name == STRINGS && is_read_only(section))?;
                Some(String::from_utf8_lossy(text).into_owned())
            };
            let entry = place(0).zip(text(4)).zip(text(8));
            let Some(((symbol, name), space)) = entry else {
                return Err(format!("{}+{start:#x} is no export", table.name));
            };
            let known = exports.insert(name.clone(), (symbol.section.0, symbol.offset));
            if known.is_some() || !space.is_empty() {
                return Err(format!("{name} is exported twice or into a name space"));
            }
        }
    }
    let for_modpost = file.sections.iter();
    for table in for_modpost.filter(|section| section.name == EXPORTS_FOR_MODPOST) {
        for symbol in file.symbols_in(table.id) {
            let (name, place) = for_modpost_at(file, table, symbol)
                .ok_or_else(|| format!("{} is no export", symbol.name))?;
            if exports.insert(name.to_owned(), place).is_some() {
                return Err(format!("{name} is exported twice"));
            }
        }
    }
    Ok(exports)
}

/// An export for modpost, by its label: into no name space, to what is under the GPL.
fn for_modpost_at<'a>(
    file: &Object,
    table: &Section,
    label: &'a Symbol,
) -> Option<(&'a str, (u32, u64))> {
    let name = label.name.strip_prefix(MODPOST_LABEL)?;
    let text = table.bytes_in(label.value, label.value.checked_add(5)?)?;
    let reloc = table.reloc_at(label.value.checked_add(8)?)?;
    let symbol = file.symbol(reloc.symbol);
    let is_whole = reloc.kind == RelocKind::Abs64 && reloc.addend == 0 && symbol.name == name;
    let is_global = symbol.binding == Binding::Global;
    let place = (symbol.section()?.0, symbol.value);
    (text == b"GPL\0\0" && is_whole && is_global).then_some((name, place))
}

fn is_read_only(section: &Section) -> bool {
    section.flags & (SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR) == SHF_ALLOC
}
