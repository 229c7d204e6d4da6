//! The module's own records, as kmod/include/resplice/format.h lays them out.

use std::collections::HashMap;

use crate::elf::{Object, Section, SectionId};
use crate::identity::{ID_LEN, Identity};
use crate::names;

use super::{Place, Result, Side};

const UPDATE_MAGIC: u32 = 0x4c50_5352;
const MATCH_MAGIC: u32 = 0x484d_5352;
const FORMAT: u32 = 3;
const UPDATE_BYTES: usize = 168;
const LATE_BYTES: usize = 32;
const REPLACE_BYTES: usize = 16;
const DATA_BYTES: usize = 32;
const SYMBOL_BYTES: usize = 24;
const FUNCTION_BYTES: usize = 24;
const TABLES: usize = 16;
/// RESPLICE_SYMBOL_EXTERNAL and _GLOBAL.
pub(super) const EXTERNAL: u32 = u32::MAX;
pub(super) const GLOBAL: u32 = 2;
/// RESPLICE_SYMBOL_MERGED.
pub(super) const MERGED: u32 = u32::MAX - 1;

/// A finished module.
pub(super) struct Module {
    pub side: Side,
    /// By place.
    pub late: HashMap<(SectionId, u64), Late>,
    pub replace: Vec<Replace>,
    pub data: Vec<Data>,
    pub symbols: Vec<Symbol>,
}

/// struct resplice_late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late {
    pub addend: i64,
    pub symbol: u32,
    pub kind: u32,
    pub feature: u32,
}

/// struct resplice_data.
#[derive(Clone, Debug)]
pub(super) struct Data {
    pub before: Place,
    pub after: Place,
    pub symbol: u32,
    pub offset: u32,
    pub size: u32,
}

/// struct resplice_replace with the old function.
#[derive(Clone, Debug)]
pub(super) struct Replace {
    pub new: Place,
    pub size: u32,
    pub old: Function,
}

/// struct resplice_function with its symbol.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub symbol: Symbol,
    pub offset: u32,
    pub size: u32,
}

/// struct resplice_symbol with its names.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub name: String,
    pub section: u32,
    pub flags: u32,
    pub unit: String,
    /// Of what the linker may have put anywhere.
    pub contents: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    bytes
        .get(at..at.saturating_add(4))
        .and_then(|b| b.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or_else(|| "a record is cut off".to_owned())
}

fn wide(bytes: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from(word(bytes, at)?) | (u64::from(word(bytes, at + 4)?) << 32))
}

impl Module {
    pub fn read(bytes: &[u8], identity: &Identity, object: &str) -> Result<Self> {
        let side = read_side(bytes).map_err(|e| format!("the module: {e}"))?;
        let file = &side.object;
        fields_are_empty(file)?;
        let update = file
            .symbols
            .iter()
            .find(|s| s.name == "resplice_update")
            .and_then(|s| Some((s.section()?, s.value)))
            .ok_or("it defines no resplice_update")?;
        let section = file.section(update.0);
        let start = usize::try_from(update.1).unwrap_or(usize::MAX);
        let record = section
            .bytes
            .get(start..start.saturating_add(UPDATE_BYTES))
            .ok_or("resplice_update is cut off")?;
        let header = [word(record, 0)?, word(record, 4)?, word(record, 8)?];
        if header != [UPDATE_MAGIC, FORMAT, UPDATE_BYTES as u32] {
            return Err("resplice_update has another format".into());
        }
        if read_id(&record[16..80]) != identity.id().as_bytes() {
            return Err("resplice_update has another id".into());
        }
        let at = |field: u64| {
            let reloc = section.reloc_at(update.1 + field)?;
            let place = file.reloc_place(reloc)?;
            Some((file.section(place.section), place.offset))
        };
        let missing = |what: &str| format!("resplice_update has no {what}");
        let image = at(80).ok_or_else(|| missing("match image"))?;
        let image_bytes = image
            .0
            .bytes_in(image.1, image.1.saturating_add(wide(record, 88)?))
            .ok_or("the match image is cut off")?;
        let image = Image::read(image_bytes, object)?;
        check_superseded(at(152), word(record, 160)?, identity)?;
        let late = at(96).ok_or_else(|| missing("late relocations"))?;
        let replace = at(104).ok_or_else(|| missing("replacements"))?;
        Ok(Self {
            late: read_late(file, late, word(record, 112)?, image.symbols.len())?,
            data: read_data(file, at(120), word(record, 136)?, image.symbols.len())?,
            replace: read_replace(file, replace, word(record, 116)?, &image)?,
            symbols: image.symbols,
            side,
        })
    }
}

/// The module loader takes a field that is not empty for used up.
fn fields_are_empty(file: &Object) -> Result<()> {
    for section in &file.sections {
        for reloc in &section.relocs {
            let end = reloc.offset + reloc.kind.width();
            let field = section.bytes_in(reloc.offset, end);
            if field.is_none_or(|bytes| bytes.iter().any(|b| *b != 0)) {
                let place = format!("{}+{:#x}", section.name, reloc.offset);
                return Err(format!("{place}: a field that is not empty"));
            }
        }
    }
    Ok(())
}

fn place_at(file: &Object, section: &Section, at: u64) -> Result<Place> {
    section
        .reloc_at(at)
        .and_then(|r| file.reloc_place(r))
        .map(|p| Place {
            section: p.section,
            offset: p.offset,
        })
        .ok_or_else(|| format!("{}+{at:#x} points nowhere", section.name))
}

fn records(
    (section, start): (&Section, u64),
    count: u32,
    bytes: usize,
) -> Result<impl Iterator<Item = (u64, &[u8])>> {
    let end = start.saturating_add(u64::from(count).saturating_mul(bytes as u64));
    let all = section
        .bytes_in(start, end)
        .ok_or_else(|| format!("{} is cut off", section.name))?;
    let chunks = all.chunks_exact(bytes).enumerate();
    Ok(chunks.map(move |(index, record)| (start + (index * bytes) as u64, record)))
}

/// The module under the names that its functions have in post.
fn read_side(bytes: &[u8]) -> Result<Side> {
    let mut object = Object::parse(bytes).map_err(|error| error.to_string())?;
    for symbol in object.symbols.iter_mut().filter(|s| s.is_function()) {
        if let Some(old) = names::replaced(&symbol.name) {
            symbol.name = old;
        }
    }
    Side::of(object)
}

fn read_id(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// The updates whose place this one takes are those that it was told.
fn check_superseded(at: Option<(&Section, u64)>, count: u32, identity: &Identity) -> Result<()> {
    let bytes = (u64::from(count)).checked_mul(ID_LEN as u64);
    let found = at
        .zip(bytes)
        .and_then(|((section, start), bytes)| section.bytes_in(start, start.saturating_add(bytes)))
        .ok_or("the list of superseded updates is cut off")?;
    let named = found.chunks(ID_LEN).map(read_id);
    let meant = identity.supersedes().iter().map(String::as_bytes);
    if !named.eq(meant) {
        return Err("resplice_update supersedes other updates".into());
    }
    Ok(())
}

fn read_late(
    file: &Object,
    table: (&Section, u64),
    count: u32,
    symbols: usize,
) -> Result<HashMap<(SectionId, u64), Late>> {
    let mut late = HashMap::new();
    for (at, record) in records(table, count, LATE_BYTES)? {
        let place = place_at(file, table.0, at)?;
        let entry = Late {
            addend: wide(record, 8)?.cast_signed(),
            symbol: word(record, 16)?,
            kind: word(record, 20)?,
            feature: word(record, 24)?,
        };
        if entry.symbol as usize >= symbols || word(record, 28)? != 0 {
            return Err("a late relocation of no symbol".into());
        }
        if late.insert((place.section, place.offset), entry).is_some() {
            return Err("two late relocations of one place".into());
        }
    }
    Ok(late)
}

fn read_replace(
    file: &Object,
    table: (&Section, u64),
    count: u32,
    image: &Image,
) -> Result<Vec<Replace>> {
    let mut out = Vec::new();
    for (at, record) in records(table, count, REPLACE_BYTES)? {
        let old = image.functions.get(word(record, 8)? as usize);
        out.push(Replace {
            new: place_at(file, table.0, at)?,
            size: word(record, 12)?,
            old: old.ok_or("a replacement of no function")?.clone(),
        });
    }
    Ok(out)
}

fn read_data(
    file: &Object,
    table: Option<(&Section, u64)>,
    count: u32,
    symbols: usize,
) -> Result<Vec<Data>> {
    let Some(table) = table else {
        let none = (count == 0).then(Vec::new);
        return none.ok_or_else(|| "resplice_update has no exchanges".to_owned());
    };
    let mut out = Vec::new();
    for (at, record) in records(table, count, DATA_BYTES)? {
        let data = Data {
            before: place_at(file, table.0, at)?,
            after: place_at(file, table.0, at + 8)?,
            symbol: word(record, 16)?,
            offset: word(record, 20)?,
            size: word(record, 24)?,
        };
        if data.symbol as usize >= symbols || word(record, 28)? != 0 {
            return Err("an exchange of no symbol".into());
        }
        out.push(data);
    }
    Ok(out)
}

/// What is needed of the match image; the core and the match against the
/// kernel's file check the rest of it.
struct Image {
    symbols: Vec<Symbol>,
    functions: Vec<Function>,
}

impl Image {
    fn read(bytes: &[u8], object: &str) -> Result<Self> {
        let table = |index: usize| -> Result<(usize, usize)> {
            let at = TABLES + 8 * index;
            Ok((word(bytes, at)? as usize, word(bytes, at + 4)? as usize))
        };
        let (strings, _) = table(7)?;
        let string = |at: u32| -> Result<String> {
            let rest = bytes.get(strings.saturating_add(at as usize)..);
            let name = rest.and_then(|r| r.split(|b| *b == 0).next());
            let name = name.ok_or("a name outside of the match image")?;
            Ok(String::from_utf8_lossy(name).into_owned())
        };
        if [word(bytes, 0)?, word(bytes, 4)?] != [MATCH_MAGIC, FORMAT]
            || string(word(bytes, 12)?)? != object
        {
            return Err("the match image is of another format or object".into());
        }
        let (units, nr_units) = table(0)?;
        let unit_names: Result<Vec<String>> = (0..nr_units)
            .map(|i| string(word(bytes, units + 8 * i)?))
            .collect();
        let unit_names = unit_names?;
        let (symbols, nr_symbols) = table(2)?;
        let (pool, _) = table(8)?;
        let read_symbol = |index: usize| -> Result<Symbol> {
            let at = symbols + SYMBOL_BYTES * index;
            let unit = word(bytes, at + 20)? as usize;
            let section = word(bytes, at + 4)?;
            let start = pool.saturating_add(word(bytes, at + 8)? as usize);
            let end = start.saturating_add(word(bytes, at + 12)? as usize);
            let contents = if section == MERGED {
                bytes.get(start..end).ok_or("a constant is cut off")?
            } else {
                &[]
            };
            Ok(Symbol {
                contents: contents.to_vec(),
                name: string(word(bytes, at)?)?,
                section,
                flags: word(bytes, at + 16)?,
                unit: unit_names.get(unit).ok_or("a symbol of no unit")?.clone(),
            })
        };
        let symbols: Result<Vec<Symbol>> = (0..nr_symbols).map(read_symbol).collect();
        let symbols = symbols?;
        let (functions, nr_functions) = table(3)?;
        let read_function = |index: usize| -> Result<Function> {
            let at = functions + FUNCTION_BYTES * index;
            let symbol = symbols.get(word(bytes, at)? as usize);
            Ok(Function {
                symbol: symbol.ok_or("a function without a symbol")?.clone(),
                offset: word(bytes, at + 8)?,
                size: word(bytes, at + 12)?,
            })
        };
        let functions: Result<Vec<Function>> = (0..nr_functions).map(read_function).collect();
        Ok(Self {
            functions: functions?,
            symbols,
        })
    }
}
