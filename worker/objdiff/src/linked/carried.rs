//! Which functions the module brings, and whether they are those that it should.

use std::collections::BTreeSet;

use crate::elf::{Binding, Object, SectionKind, Symbol, exports};
use crate::names;
use crate::plan::Plan;

use super::aims::{self, Aim};
use super::fields;
use super::module::Replace;
use super::region::Region;
use super::{Check, Place, Result, Unit, orc};

/// What the frame of every update has itself (`kmod/update/main.c`), and most
/// patched modules too.
const FRAME: [&str; 2] = ["init_module", "cleanup_module"];

/// A function of post in the module.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub place: Place,
    /// The function that it replaces.
    pub replaces: Option<String>,
}

impl Check<'_> {
    /// Finds the functions that the plan lists, and their cold parts.
    pub(super) fn find_code(&mut self, plan: &Plan) -> Result<()> {
        let mut records: Vec<Replace> = self.module.replace.clone();
        for (index, unit) in plan.units.iter().enumerate() {
            if self.units.get(index).map(|u| u.name) != Some(unit.name.as_str()) {
                return Err(format!("the plan's unit {} is not at hand", unit.name));
            }
            for replaced in &unit.replaced {
                let at = records
                    .iter()
                    .position(|r| {
                        r.old.symbol.unit == unit.name && r.old.symbol.name == replaced.name
                    })
                    .ok_or_else(|| format!("{} is not replaced", replaced.name))?;
                let record = records.swap_remove(at);
                self.replacement(index, &record)?;
            }
        }
        if let Some(record) = records.first() {
            let name = &record.old.symbol.name;
            return Err(format!("{name} is replaced and should not be"));
        }
        for (index, unit) in plan.units.iter().enumerate() {
            for name in &unit.added {
                self.added(index, name)?;
            }
        }
        self.cold_parts()
    }

    /// One record of a replacement: the old function is that of the reference
    /// object, the new one that of post.
    fn replacement(&mut self, index: usize, record: &Replace) -> Result<()> {
        let unit = &self.units[index];
        let old = &record.old;
        let name = old.symbol.name.as_str();
        let reference = unit.reference.symbols.iter();
        let fits = |s: &&Symbol| {
            s.name == name
                && s.is_function()
                && s.value == u64::from(old.offset)
                && s.size == u64::from(old.size)
        };
        if reference.filter(fits).count() != 1 || !defines(&unit.pre.object, name) {
            return Err(format!("{name} is not the function of that name"));
        }
        let post = &unit.post.object;
        let found = self
            .module
            .side
            .object
            .symbols_in(record.new.section)
            .filter(|s| s.value == record.new.offset && s.is_function())
            .find_map(|s| function(post, &s.name))
            .filter(|s| {
                names::normalise(&s.name) == names::normalise(name) || is_alias(post, s, name)
            })
            .ok_or_else(|| format!("{name} is replaced by something else"))?;
        if u64::from(record.size) != found.size {
            return Err(format!("the replacement of {name} has another size"));
        }
        if !names::is_numbered(name) && !aims::names_of(post, found).contains(&name) {
            return Err(format!("{name} is replaced by {}", found.name));
        }
        let carried = Carried {
            place: record.new,
            replaces: Some(name.to_owned()),
        };
        self.carry(index, &found.name.clone(), carried)
    }

    fn added(&mut self, index: usize, name: &str) -> Result<()> {
        let unit = &self.units[index];
        // What nothing refers to may stay behind.
        let Some(symbol) = named(&unit.post.object, name) else {
            return Err(format!("{name} is not in post"));
        };
        if !names::is_numbered(name) && defines(&unit.pre.object, name) {
            return Err(format!("{name} was there before"));
        }
        let Some(place) = self.place_of(index, symbol)? else {
            return Ok(());
        };
        let carried = Carried {
            place,
            replaces: None,
        };
        self.carry(index, name, carried)
    }

    fn cold_parts(&mut self) -> Result<()> {
        for index in 0..self.units.len() {
            let colds: Vec<Symbol> = functions(&self.units[index].post.object)
                .filter(|s| {
                    names::cold_parent(&s.name)
                        .is_some_and(|parent| self.code.contains_key(&(index, parent.to_owned())))
                })
                .cloned()
                .collect();
            for cold in colds {
                let place = self.place_of(index, &cold)?;
                let place = place.ok_or_else(|| format!("{} is left out", cold.name))?;
                let replaces = None;
                self.carry(index, &cold.name, Carried { place, replaces })?;
            }
        }
        Ok(())
    }

    fn carry(&mut self, index: usize, name: &str, carried: Carried) -> Result<()> {
        let post = &self.units[index].post.object;
        let symbol = named(post, name).ok_or_else(|| format!("{name} is not in post"))?;
        self.open
            .push(Region::of(index, post, symbol, carried.place)?);
        for name in aims::names_of(post, symbol) {
            let key = (index, name.to_owned());
            if self.code.insert(key, carried.clone()).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(())
    }

    /// Where something of post is in the module, by its name and contents.
    fn place_of(&self, index: usize, symbol: &Symbol) -> Result<Option<Place>> {
        let module = &self.module.side.object;
        let post = &self.units[index].post.object;
        let taken: BTreeSet<(u32, u64)> = self
            .code
            .values()
            .map(|c| (c.place.section.0, c.place.offset))
            .collect();
        let mut found = Vec::new();
        for other in module.symbols.iter().filter(|s| s.name == symbol.name) {
            let Some(section) = other.section() else {
                continue;
            };
            let place = Place {
                section,
                offset: other.value,
            };
            let region = Region::of(index, post, symbol, place)?;
            if !taken.contains(&(section.0, other.value)) && self.same_bytes(&region)? {
                found.push(place);
            }
        }
        Ok(found.first().copied())
    }

    /// Every function whose code differs between pre and post is replaced.
    pub(super) fn nothing_is_left_out(&self) -> Result<()> {
        for (index, unit) in self.units.iter().enumerate() {
            for post in functions(&unit.post.object) {
                let kind =
                    |object: &Object, s: &Symbol| s.section().map(|id| object.section(id).kind);
                let Some(pre) = function(&unit.pre.object, &post.name) else {
                    continue;
                };
                let resident = kind(&unit.post.object, post) == Some(SectionKind::Text)
                    && kind(&unit.pre.object, pre) == Some(SectionKind::Text);
                let is_carried = self.code.contains_key(&(index, post.name.clone()));
                if !resident || names::is_numbered(&post.name) || is_carried {
                    continue;
                }
                if signature(&unit.pre.object, pre)? != signature(&unit.post.object, post)? {
                    return Err(format!("{} has changed and is left out", post.name));
                }
            }
        }
        Ok(())
    }

    /// What the module exports is what the plan offers, each by the name of its
    /// function.
    pub(super) fn exports(&self) -> Result<()> {
        let found = exports(&self.module.side.object)?;
        for name in &self.plan.offers {
            let export = names::offered_name(self.id, name);
            let carried = self.code.iter().find(|((unit, function), _)| {
                let post = self.units.get(*unit).map(|u| &u.post.object);
                let symbol = post.and_then(|post| named(post, name));
                function == name && symbol.is_some_and(|s| s.binding != Binding::Local)
            });
            let place = carried.map(|(_, c)| (c.place.section.0, c.place.offset));
            if place.is_none() || found.get(&export).copied() != place {
                return Err(format!("{name} is not exported as {export}"));
            }
        }
        if found.len() != self.plan.offers.len() {
            return Err("it exports what nobody offers".into());
        }
        Ok(())
    }

    /// Nothing of post is in the module that has no business there, and no
    /// late relocation is left over.
    pub(super) fn nothing_else(&self) -> Result<()> {
        if self.late_seen.len() != self.module.late.len() {
            return Err("late relocations that nothing asks for".into());
        }
        let brought: BTreeSet<(u32, u64)> = self
            .seen
            .values()
            .map(|p| (p.section.0, p.offset))
            .collect();
        for (end, name) in &self.ends {
            let followed = brought.contains(&(end.section.0, end.offset));
            if !followed && !orc::ends_at(&self.module.side.orc, end.section, end.offset) {
                return Err(format!("{name}: the unwinder is not told where it ends"));
            }
        }
        for symbol in &self.module.side.object.symbols {
            let Some(section) = symbol.section() else {
                continue;
            };
            // The update's own frame has these as every module does, and they
            // may happen to be as long as the patched one's.
            if FRAME.contains(&symbol.name.as_str()) {
                continue;
            }
            let is_of = |unit: &&Unit<'_>| {
                named(&unit.post.object, &symbol.name)
                    .is_some_and(|s| s.kind == symbol.kind && s.size == symbol.size && s.size > 0)
            };
            // The module's own frame: its init, exit and information.
            let kind = self.module.side.object.section(section).kind;
            if kind.is_init() || kind == SectionKind::Modinfo {
                continue;
            }
            let unit = self.units.iter().find(is_of);
            if unit.is_some() && !brought.contains(&(section.0, symbol.value)) {
                return Err(format!("{} is there and nothing asks for it", symbol.name));
            }
        }
        Ok(())
    }
}

fn functions(object: &Object) -> impl Iterator<Item = &Symbol> {
    object
        .symbols
        .iter()
        .filter(|s| s.is_function() && s.size > 0)
}

fn function<'o>(object: &'o Object, name: &str) -> Option<&'o Symbol> {
    functions(object).find(|s| s.name == name)
}

/// The function or variable of that name.
pub(super) fn named<'o>(object: &'o Object, name: &str) -> Option<&'o Symbol> {
    object.symbols.iter().find(|s| {
        s.name == name && s.section().is_some() && s.kind != crate::elf::SymbolKind::Section
    })
}

pub(super) fn defines(object: &Object, name: &str) -> bool {
    named(object, name).is_some()
}

fn is_alias(object: &Object, symbol: &Symbol, name: &str) -> bool {
    aims::names_of(object, symbol).contains(&name)
}

/// Bytes besides fields, and what each field means.
pub(super) type Signature = (Vec<u8>, Vec<(u64, String)>);

/// What can be said of a function's code without knowing which numbered name
/// is which.
pub(super) fn signature(object: &Object, symbol: &Symbol) -> Result<Signature> {
    let Some(id) = symbol.section() else {
        return Ok(Default::default());
    };
    let section = object.section(id);
    let end = symbol.value.saturating_add(symbol.size);
    let mut bytes = section
        .bytes_in(symbol.value, end)
        .unwrap_or_default()
        .to_vec();
    let mut means = Vec::new();
    for field in fields::of(object, id, symbol.value, end)? {
        let at = usize::try_from(field.offset).unwrap_or(usize::MAX);
        if let Some(field) = bytes.get_mut(at..at.saturating_add(field.width() as usize)) {
            field.fill(0);
        }
        let meaning = match aims::of(object, id, &field)? {
            Aim::Name(to, distance) => format!("{}{distance:+#x}", object.symbol(to).name),
            Aim::Object(to, _) if aims::is_constant(object, object.symbol(to)) => "constant".into(),
            Aim::Object(to, distance) => {
                format!(
                    "{}{distance:+#x}",
                    names::normalise(&object.symbol(to).name)
                )
            }
            Aim::Content(id, offset) => {
                let (start, size) = aims::content(object, id, offset)?;
                let end = start.saturating_add(size);
                let bytes = object.section(id).bytes_in(start, end);
                format!(
                    "{:+#x} of {:02x?}",
                    offset - start,
                    bytes.unwrap_or_default()
                )
            }
        };
        means.push((field.offset, meaning));
    }
    Ok((bytes, means))
}
