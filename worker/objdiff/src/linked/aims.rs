//! What a field of an object means.

use std::collections::{BTreeSet, HashMap};

use crate::elf::{Object, SectionId, SectionKind, Symbol, SymbolId, SymbolKind};
use crate::names;

use super::Result;
use super::fields::{self, Field, RawAim};

/// Per start of an object: the source functions that refer to it.
pub(super) type Referrers = HashMap<(SectionId, u64), BTreeSet<String>>;

/// What a field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// A symbol that the object does not define, and bytes from it.
    Name(SymbolId, i64),
    /// Something with a name, and bytes from its start.
    Object(SymbolId, i64),
    /// A byte of something that has no name: a string, a constant.
    Content(SectionId, u64),
}

/// What a field means, found from its relocation alone.
pub(super) fn of(object: &Object, id: SectionId, field: &Field) -> Result<Aim> {
    let (symbol, addend) = match field.aim {
        RawAim::Here(offset) => return at(object, id, to_i64(offset)?, None),
        RawAim::Reloc(symbol, addend) => (object.symbol(symbol), addend),
    };
    let meant = addend
        .checked_add(field.tail)
        .ok_or("an addend out of range")?;
    let Some(section) = symbol.section() else {
        return Ok(Aim::Name(symbol.id, meant));
    };
    let offset = to_i64(symbol.value)?
        .checked_add(meant)
        .ok_or("an addend out of range")?;
    let is_object = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Data);
    at(object, section, offset, is_object.then_some(symbol))
}

fn to_i64(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| "an offset out of range".to_owned())
}

fn at(object: &Object, id: SectionId, offset: i64, named: Option<&Symbol>) -> Result<Aim> {
    let section = object.section(id);
    let content = || {
        u64::try_from(offset)
            .ok()
            .filter(|o| *o <= section.size)
            .map(|o| Aim::Content(id, o))
            .ok_or_else(|| format!("{}{offset:+#x} is outside", section.name))
    };
    let no_names = section.kind.is_merged()
        || matches!(
            section.kind,
            SectionKind::AltinstrReplacement | SectionKind::AltinstrAux
        );
    if no_names {
        return content();
    }
    let owner = match named {
        Some(symbol) => Some(first_at(object, id, symbol.value).unwrap_or(symbol)),
        None => owner(object, id, offset),
    };
    match owner {
        Some(symbol) => Ok(Aim::Object(symbol.id, offset - to_i64(symbol.value)?)),
        None => content(),
    }
}

/// Where something without a name begins, and its bytes: a string with its NUL, a
/// constant, code up to its jump, or all of a section.
pub(super) fn content(object: &Object, id: SectionId, offset: u64) -> Result<(u64, u64)> {
    let section = object.section(id);
    let width = section.entsize.max(1);
    match section.kind {
        SectionKind::MergeStrings => {
            let rest = section.bytes_in(offset, section.size).unwrap_or_default();
            let units = rest.chunks(usize::try_from(width).unwrap_or(1));
            let len = units.take_while(|c| c.iter().any(|b| *b != 0)).count() + 1;
            Ok((offset, (len as u64).saturating_mul(width)))
        }
        SectionKind::MergeConstants => Ok((offset - offset % width, width)),
        SectionKind::AltinstrAux => Ok((offset, fields::until_jump(object, id, offset)?)),
        SectionKind::Rodata => Ok((0, section.size)),
        _ => Err(format!("refers into {}, where nothing is", section.name)),
    }
}

/// The named object that a byte belongs to. An object that is alone in its
/// section may be referred to from before its start.
fn owner(object: &Object, id: SectionId, offset: i64) -> Option<&Symbol> {
    let functions = || named_in(object, id).filter(|s| s.is_function());
    // Labels inside of functions belong to these.
    let by_function = object.section(id).kind.is_code() && functions().next().is_some();
    let starts: BTreeSet<u64> = if by_function {
        functions().map(|s| s.value).collect()
    } else {
        named_in(object, id).map(|s| s.value).collect()
    };
    let start = match starts.len() {
        1 => starts.first().copied(),
        _ => {
            let offset = u64::try_from(offset).ok()?;
            starts.range(..=offset).next_back().copied()
        }
    };
    first_at(object, id, start?)
}

fn named_in(object: &Object, id: SectionId) -> impl Iterator<Item = &Symbol> {
    object
        .symbols_in(id)
        .filter(|s| !s.name.starts_with(".L") && s.kind != SymbolKind::Section)
}

/// What a global symbol means to other units.
pub(super) fn of_symbol(object: &Object, symbol: &Symbol) -> Result<Aim> {
    let section = symbol.section().ok_or("a symbol that is nowhere")?;
    let is_object = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Data);
    at(
        object,
        section,
        to_i64(symbol.value)?,
        is_object.then_some(symbol),
    )
}

/// The symbol that stands for what starts at an offset: with a type before
/// labels, the largest first, then by name.
fn first_at(object: &Object, id: SectionId, value: u64) -> Option<&Symbol> {
    named_in(object, id)
        .filter(|s| s.value == value)
        .min_by_key(|s| {
            let untyped = s.kind == SymbolKind::Untyped;
            (untyped, u64::MAX - s.size, s.name.clone())
        })
}

/// All names of what starts where a symbol does.
pub(super) fn names_of<'o>(object: &'o Object, symbol: &Symbol) -> Vec<&'o str> {
    let Some(section) = symbol.section() else {
        return Vec::new();
    };
    named_in(object, section)
        .filter(|s| s.value == symbol.value)
        .map(|s| s.name.as_str())
        .collect()
}

/// Bytes of an object with a name; labels of assembly reach to what follows.
pub(super) fn size_of(object: &Object, symbol: &Symbol) -> u64 {
    let Some(section) = symbol.section() else {
        return 0;
    };
    if symbol.size > 0 {
        return symbol.size;
    }
    let next = named_in(object, section)
        .map(|s| s.value)
        .find(|value| *value > symbol.value);
    next.unwrap_or(object.section(section).size) - symbol.value
}

/// Read-only and of the compiler's making, or a table of places in code: only
/// its contents count.
pub(super) fn is_constant(object: &Object, symbol: &Symbol) -> bool {
    let section = symbol.section().map(|id| object.section(id));
    section.is_some_and(|section| {
        section.kind == SectionKind::Rodata
            && (names::is_constant(&symbol.name) || section.name == ".rodata..c_jump_table")
    })
}

/// Finds who refers to what.
pub(super) fn referrers(object: &Object) -> Result<Referrers> {
    let mut referrers = Referrers::new();
    for section in object.sections.iter().filter(|s| s.kind.is_resident_text()) {
        for function in object.symbols_in(section.id).filter(|s| s.is_function()) {
            let end = function.value.saturating_add(function.size);
            let source = names::source_function(&function.name);
            for field in fields::of(object, section.id, function.value, end)? {
                if let Aim::Object(to, _) = of(object, section.id, &field)?
                    && let to = object.symbol(to)
                    && let Some(id) = to.section()
                {
                    let list = referrers.entry((id, to.value)).or_default();
                    list.insert(source.to_owned());
                }
            }
        }
    }
    Ok(referrers)
}
