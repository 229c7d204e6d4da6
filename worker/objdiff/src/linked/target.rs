//! Whether a field of the module leads to what the same field of post means.

use std::collections::BTreeSet;

use crate::elf::{Binding, Object, SectionId, SectionKind, Symbol};
use crate::names;

use super::aims::{self, Aim};
use super::carried::named;
use super::module::{EXTERNAL, GLOBAL, Late};
use super::region::{From, Got, Region};
use super::{Check, Place, Result};

impl Check<'_> {
    pub(super) fn target(&mut self, aim: Aim, got: &Got, from: From<'_>) -> Result<()> {
        let unit = from.region.unit;
        match aim {
            Aim::Object(id, distance) => {
                let symbol = self.units[unit].post.object.symbol(id).clone();
                self.object(unit, &symbol, distance, got, from)
            }
            Aim::Content(section, offset) => self.content(unit, section, offset, got),
            Aim::Name(id, distance) => {
                let name = self.units[unit].post.object.symbol(id).name.clone();
                let own = self.units.iter().enumerate().find_map(|(unit, u)| {
                    let symbol = named(&u.post.object, &name)?;
                    (symbol.binding != Binding::Local).then(|| (unit, symbol.clone()))
                });
                let Some((unit, symbol)) = own else {
                    return self.foreign(&name, distance, got);
                };
                let post = &self.units[unit].post.object;
                let Aim::Object(id, inside) = aims::of_symbol(post, &symbol)? else {
                    return Err(format!("{name} has no place of its own"));
                };
                let symbol = post.symbol(id).clone();
                self.object(unit, &symbol, inside.saturating_add(distance), got, from)
            }
        }
    }

    /// A symbol that no unit defines.
    fn foreign(&self, name: &str, distance: i64, got: &Got) -> Result<()> {
        let is_export = self.is_export(name);
        let is_borrowed = !is_export && self.plan.borrows.iter().any(|n| n == name);
        let same = match got {
            Got::Import(other, d) if is_borrowed => {
                *other == names::offered_name(self.id, name) && *d == distance
            }
            Got::Import(other, d) => is_export && other == name && *d == distance,
            Got::Late(late, d) => {
                let symbol = &self.module.symbols[late.symbol as usize];
                let visible = symbol.section == EXTERNAL || symbol.flags & GLOBAL != 0;
                !is_export && !is_borrowed && symbol.name == name && visible && *d == distance
            }
            Got::Local(..) => false,
        };
        same.then_some(())
            .ok_or_else(|| format!("{} instead of {name}{distance:+#x}", self.say(got)))
    }

    /// Whether the module loader finds a symbol wherever the patched object is
    /// loaded: in vmlinux, or in a module that the object needs itself.
    pub(super) fn is_export(&self, name: &str) -> bool {
        let symbols = self.units.iter().flat_map(|u| &u.pre.object.symbols);
        let foreign = symbols.filter(|s| s.section().is_none());
        let refers = foreign.map(|s| s.name.as_str());
        let is_needed = self.symvers.is_of_needed(name, &self.plan.object, refers);
        self.symvers.is_importable(name) || is_needed
    }

    fn say(&self, got: &Got) -> String {
        match got {
            Got::Import(name, d) => format!("import of {name}{d:+#x}"),
            Got::Local(id, at) => {
                format!("{}{at:+#x}", self.module.side.object.section(*id).name)
            }
            Got::Late(late, d) => {
                format!(
                    "late {}{d:+#x}",
                    self.module.symbols[late.symbol as usize].name
                )
            }
        }
    }

    /// Strings, constants and code without a name go with what refers to them.
    fn content(&mut self, unit: usize, id: SectionId, offset: u64, got: &Got) -> Result<()> {
        let post = &self.units[unit].post.object;
        let section = post.section(id);
        let (start, size) = aims::content(post, id, offset)?;
        let name = format!("{}+{start:#x}", section.name);
        let before = i64::try_from(offset - start).unwrap_or(i64::MAX);
        self.local(unit, (id, start, size), name, before, got)
    }

    /// Something that is in the module, and its bytes are compared in turn.
    fn local(
        &mut self,
        unit: usize,
        (section, start, size): (SectionId, u64, u64),
        name: String,
        distance: i64,
        got: &Got,
    ) -> Result<()> {
        let Got::Local(id, at) = got else {
            return Err(format!("{} instead of {name} of its own", self.say(got)));
        };
        let offset = at
            .checked_sub(distance)
            .and_then(|at| u64::try_from(at).ok())
            .ok_or_else(|| format!("{} instead of {name}", self.say(got)))?;
        self.open.push(Region {
            unit,
            section,
            start,
            size,
            place: Place {
                section: *id,
                offset,
            },
            name,
            is_content: true,
        });
        Ok(())
    }

    /// Something of post that has a name.
    fn object(
        &mut self,
        unit: usize,
        symbol: &Symbol,
        distance: i64,
        got: &Got,
        from: From<'_>,
    ) -> Result<()> {
        let post = &self.units[unit].post.object;
        let Some(id) = symbol.section() else {
            return Err(format!("{} is nowhere", symbol.name));
        };
        let extent = (id, symbol.value, aims::size_of(post, symbol));
        let name = symbol.name.clone();
        if aims::is_constant(post, symbol) {
            return self.local(unit, extent, name, distance, got);
        }
        if post.section(id).kind.is_code() {
            return self.code(unit, symbol, distance, got, from);
        }
        match got {
            Got::Late(late, d) if *d == distance => self.running_data(unit, symbol, *late),
            Got::Local(..) if self.is_fresh(unit, symbol) => {
                self.local(unit, extent, name, distance, got)
            }
            _ => Err(format!("{} instead of {name}{distance:+#x}", self.say(got))),
        }
    }

    /// Calls, tables and a function's own parts lead to the new code; its
    /// address is that of the running one.
    fn code(
        &self,
        unit: usize,
        symbol: &Symbol,
        distance: i64,
        got: &Got,
        from: From<'_>,
    ) -> Result<()> {
        let name = symbol.name.as_str();
        let carried = self.code.get(&(unit, name.to_owned()));
        let body = |name: &str| names::cold_parent(name).unwrap_or(name).to_owned();
        let inside = distance != 0
            && from.region.unit == unit
            && (from.region.is_content || body(&from.region.name) == body(name));
        let is_new = carried
            .is_some_and(|c| c.replaces.is_none() || from.is_branch || from.in_table || inside);
        let same = match (got, carried) {
            (Got::Local(id, at), Some(carried)) if is_new => {
                let start = i64::try_from(carried.place.offset).unwrap_or(i64::MAX);
                *id == carried.place.section && *at == start.saturating_add(distance)
            }
            (Got::Late(late, d), _) if !is_new => {
                let old = carried.and_then(|c| c.replaces.as_deref());
                *d == distance && self.is_running_code(unit, symbol, old, *late)
            }
            _ => false,
        };
        same.then_some(())
            .ok_or_else(|| format!("{} instead of {name}{distance:+#x}", self.say(got)))
    }

    /// Whether a late symbol is the running function that post's stands for.
    fn is_running_code(&self, unit: usize, symbol: &Symbol, old: Option<&str>, late: Late) -> bool {
        let side = &self.units[unit];
        let late = &self.module.symbols[late.symbol as usize];
        let visible = late.flags & GLOBAL != 0 || late.section == EXTERNAL;
        if late.unit != side.name && !visible {
            return false;
        }
        if let Some(old) = old {
            return late.name == old || self.is_alias_in_pre(unit, old, &late.name);
        }
        let known = aims::names_of(&side.post.object, symbol);
        let plain = !names::is_numbered(&symbol.name) || !symbol.name.contains('.');
        if plain {
            return known.contains(&late.name.as_str());
        }
        let stem = names::normalise(&symbol.name);
        names::normalise(&late.name) == stem && self.same_size_in_pre(unit, symbol, &late.name)
    }

    fn is_alias_in_pre(&self, unit: usize, name: &str, other: &str) -> bool {
        let pre = &self.units[unit].pre.object;
        named(pre, name).is_some_and(|s| aims::names_of(pre, s).contains(&other))
    }

    fn same_size_in_pre(&self, unit: usize, symbol: &Symbol, name: &str) -> bool {
        named(&self.units[unit].pre.object, name).is_some_and(|s| s.size == symbol.size)
    }

    /// A late symbol is the variable that post's stands for: by its name, or
    /// if that is numbered, by size, contents and the functions that use it.
    fn running_data(&self, unit: usize, symbol: &Symbol, late: Late) -> Result<()> {
        let side = &self.units[unit];
        let late = &self.module.symbols[late.symbol as usize];
        let wrong = || format!("late {} instead of {}", late.name, symbol.name);
        let visible = late.flags & GLOBAL != 0 || late.section == EXTERNAL;
        if late.unit != side.name && !visible {
            return Err(wrong());
        }
        let known = aims::names_of(&side.post.object, symbol);
        if !names::is_numbered(&symbol.name) {
            let resized = self.is_fresh(unit, symbol) && symbol.size > 0;
            return (known.contains(&late.name.as_str()) && !resized)
                .then_some(())
                .ok_or_else(wrong);
        }
        let pre = named(&side.pre.object, &late.name).ok_or_else(wrong)?;
        let same = names::normalise(&late.name) == names::normalise(&symbol.name)
            && pre.size == symbol.size
            && self.shares_users(unit, pre, symbol);
        same.then_some(()).ok_or_else(wrong)
    }

    /// Whether a source function refers to both.
    pub(super) fn shares_users(&self, unit: usize, pre: &Symbol, post: &Symbol) -> bool {
        let side = &self.units[unit];
        let empty = BTreeSet::new();
        let users = |of: &super::Side, symbol: &Symbol| {
            let key = symbol.section().map(|id| (id, symbol.value));
            key.and_then(|key| of.referrers.get(&key))
                .unwrap_or(&empty)
                .clone()
        };
        let (before, after) = (users(&side.pre, pre), users(&side.post, post));
        before.is_empty() || after.is_empty() || before.intersection(&after).next().is_some()
    }

    /// Whether a variable is new, so that the running kernel has none.
    fn is_fresh(&self, unit: usize, symbol: &Symbol) -> bool {
        let side = &self.units[unit];
        if !names::is_numbered(&symbol.name) {
            // A constant of another size is another one.
            return named(&side.pre.object, &symbol.name).is_none_or(|s| {
                let kind = s.section().map(|id| side.pre.object.section(id).kind);
                kind == Some(SectionKind::Rodata) && s.size != symbol.size
            });
        }
        if names::may_start_afresh(&symbol.name) || is_constant_bytes(&side.post.object, symbol) {
            return true;
        }
        let stem = names::normalise(&symbol.name);
        let same_stem = |s: &&Symbol| {
            s.section().is_some()
                && names::is_numbered(&s.name)
                && names::normalise(&s.name) == stem
        };
        // Another variable of post may be the one of pre that looks like it.
        let like = |symbols: &[Symbol], shares: &dyn Fn(&Symbol) -> bool| {
            let alike = symbols.iter().filter(same_stem);
            alike.filter(|s| shares(s)).count()
        };
        let pres = like(&side.pre.object.symbols, &|s| {
            self.shares_users(unit, s, symbol)
        });
        let posts = like(&side.post.object.symbols, &|s| {
            s.value == symbol.value && s.section() == symbol.section()
                || self.shares_users_of_post(unit, s, symbol)
        });
        pres < posts
    }

    /// As [`Self::shares_users`], of two variables of post.
    fn shares_users_of_post(&self, unit: usize, one: &Symbol, other: &Symbol) -> bool {
        let users = |symbol: &Symbol| {
            let key = symbol.section().map(|id| (id, symbol.value))?;
            self.units[unit].post.referrers.get(&key)
        };
        match (users(one), users(other)) {
            (Some(one), Some(other)) => one.intersection(other).next().is_some(),
            _ => false,
        }
    }
}

/// Read-only and without a reference to anything: of these a copy is as good.
fn is_constant_bytes(object: &Object, symbol: &Symbol) -> bool {
    let Some(section) = symbol.section().map(|id| object.section(id)) else {
        return false;
    };
    let end = symbol.value.saturating_add(symbol.size);
    let refers = section
        .relocs
        .iter()
        .any(|reloc| (symbol.value..end).contains(&reloc.offset));
    section.kind == SectionKind::Rodata && symbol.size > 0 && !refers
}
