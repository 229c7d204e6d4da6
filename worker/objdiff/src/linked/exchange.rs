//! Data that are exchanged in place: each record against pre and post.

use std::ops::Range;

use crate::elf::{Object, SectionKind, Symbol};
use crate::names;
use crate::plan::Plan;

use super::aims::{self, Aim};
use super::carried::{named, signature};
use super::fields::{self, Field};
use super::module::{Data, EXTERNAL, GLOBAL, MERGED};
use super::region::{From, Got, Region, SHF};
use super::{Check, Place, Result};

const SHF_ALLOC: u64 = 2;

impl Check<'_> {
    /// Every exchange that the plan lists is recorded, as a whole, and no other.
    pub(super) fn exchanges(&mut self, plan: &Plan) -> Result<()> {
        let mut records = self.module.data.clone();
        for (index, unit) in plan.units.iter().enumerate() {
            for exchanged in &unit.exchanged {
                let (old, new) = self.exchanged_symbols(index, &exchanged.name)?;
                let mut spans = Vec::new();
                let mut others = Vec::new();
                for record in std::mem::take(&mut records) {
                    let symbol = &self.module.symbols[record.symbol as usize];
                    if symbol.unit == unit.name && symbol.name == old.name {
                        let span = self.exchange(index, (&old, &new), &record)?;
                        if spans.iter().any(|s: &Range<u64>| s.contains(&span.start)) {
                            return Err(format!("{} is exchanged twice", new.name));
                        }
                        spans.push(span);
                    } else {
                        others.push(record);
                    }
                }
                records = others;
                self.is_whole(index, (&old, &new), &spans)?;
            }
        }
        match records.first() {
            Some(record) => {
                let symbol = &self.module.symbols[record.symbol as usize];
                Err(format!("{} is exchanged and should not be", symbol.name))
            }
            None => self.no_constant_is_left_out(plan),
        }
    }

    /// The object of pre that became one of post.
    fn exchanged_symbols(&self, unit: usize, name: &str) -> Result<(Symbol, Symbol)> {
        let (pre, post) = (&self.units[unit].pre.object, &self.units[unit].post.object);
        let new = named(post, name).ok_or_else(|| format!("{name} is not in post"))?;
        let stem = names::normalise(name);
        let mut found = pre.symbols.iter().filter(|s| {
            let same = if names::is_numbered(name) {
                names::normalise(&s.name) == stem && self.shares_users(unit, s, new)
            } else {
                s.name == name
            };
            same && s.section().is_some() && s.size == new.size && s.size > 0
        });
        match (found.next(), found.next()) {
            (Some(old), None) => Ok((old.clone(), new.clone())),
            _ => Err(format!("{name} is not one object of pre")),
        }
    }

    fn exchange(
        &mut self,
        unit: usize,
        (old, new): (&Symbol, &Symbol),
        record: &Data,
    ) -> Result<Range<u64>> {
        let span =
            u64::from(record.offset)..u64::from(record.offset).saturating_add(record.size.into());
        let wrong = |what: String| format!("exchange of {}+{:#x}: {what}", old.name, span.start);
        if span.is_empty() || span.end > old.size {
            return Err(wrong("lies outside of it".into()));
        }
        for (is_pre, symbol, place) in [(true, old, record.before), (false, new, record.after)] {
            let side = &self.units[unit];
            let object = if is_pre {
                &side.pre.object
            } else {
                &side.post.object
            };
            let id = symbol.section().ok_or("it is nowhere")?;
            let range = symbol.value + span.start..symbol.value + span.end;
            let fields = fields::of(object, id, range.start, range.end)?;
            // As data that nobody writes to, and words at words' borders.
            let module = self.module.side.object.section(place.section);
            let in_place = module.align >= 8 && place.offset.is_multiple_of(8);
            if module.flags & SHF != SHF_ALLOC || !in_place {
                return Err(wrong("lies in another kind of section".into()));
            }
            let expected = masked(object.section(id).bytes_in(range.start, range.end), &fields);
            let end = place.offset.saturating_add(record.size.into());
            let found = masked(module.bytes_in(place.offset, end), &fields);
            if expected.is_none() || expected != found {
                return Err(wrong("has other contents".into()));
            }
            let region = Region {
                unit,
                section: id,
                start: range.start,
                size: record.size.into(),
                place,
                name: symbol.name.clone(),
                is_content: false,
            };
            for field in &fields {
                let at = Place {
                    section: place.section,
                    offset: place.offset + field.offset,
                };
                let checked = if is_pre {
                    self.before(&region, field, at)
                } else {
                    let from = From {
                        region: &region,
                        in_table: false,
                        is_branch: false,
                    };
                    self.field(id, field, at, from)
                };
                checked.map_err(&wrong)?;
            }
        }
        Ok(span)
    }

    /// A field of what runs leads to what pre means.
    fn before(&mut self, region: &Region, field: &Field, at: Place) -> Result<()> {
        let (kind, got) = self.got(at, field)?;
        if !kind.means_same(field.kind) {
            return Err("a reference of another type".into());
        }
        let unit = &self.units[region.unit];
        let pre = &unit.pre.object;
        let aim = aims::of(pre, region.section, field)?;
        let right = match &got {
            Got::Local(..) => false,
            Got::Import(name, d) => {
                let meant = match aim {
                    Aim::Name(id, distance) => Some((pre.symbol(id).name.as_str(), distance)),
                    _ => None,
                };
                self.is_export(name) && meant == Some((name.as_str(), *d))
            }
            Got::Late(late, d) => {
                let symbol = &self.module.symbols[late.symbol as usize];
                let visible = symbol.section == EXTERNAL || symbol.flags & GLOBAL != 0;
                let own = symbol.unit == unit.name || visible;
                match aim {
                    Aim::Name(id, distance) => {
                        visible && symbol.name == pre.symbol(id).name && *d == distance
                    }
                    Aim::Object(id, distance) if aims::is_constant(pre, pre.symbol(id)) => {
                        symbol.section == MERGED
                            && symbol.contents == contents(pre, pre.symbol(id))
                            && *d == distance
                    }
                    Aim::Object(id, distance) => {
                        let known = aims::names_of(pre, pre.symbol(id));
                        own && known.contains(&symbol.name.as_str()) && *d == distance
                    }
                    Aim::Content(id, offset) => {
                        let section = pre.section(id);
                        let end = offset.saturating_add(symbol.contents.len() as u64);
                        symbol.section == MERGED
                            && section.bytes_in(offset, end) == Some(&symbol.contents)
                            && symbol.contents.ends_with(&[0])
                            && *d == 0
                    }
                }
            }
        };
        if !right {
            return Err("what must be there refers to something else".into());
        }
        if let Got::Late(..) = got {
            self.late_seen.insert((at.section, at.offset));
        }
        Ok(())
    }

    /// What lies outside of the spans is the same in pre and post.
    fn is_whole(
        &self,
        unit: usize,
        (old, new): (&Symbol, &Symbol),
        spans: &[Range<u64>],
    ) -> Result<()> {
        let side = &self.units[unit];
        let (mut pre, mut before) = signature(&side.pre.object, old)?;
        let (mut post, mut after) = signature(&side.post.object, new)?;
        for span in spans {
            for bytes in [&mut pre, &mut post] {
                let (start, end) = (span.start as usize, span.end as usize);
                if let Some(part) = bytes.get_mut(start..end) {
                    part.fill(0);
                }
            }
            before.retain(|(at, _)| !span.contains(at));
            after.retain(|(at, _)| !span.contains(at));
        }
        (pre == post && before == after)
            .then_some(())
            .ok_or_else(|| format!("{} is not exchanged as a whole", new.name))
    }

    /// Every constant of one size that differs between pre and post is exchanged.
    fn no_constant_is_left_out(&self, plan: &Plan) -> Result<()> {
        for (index, unit) in self.units.iter().enumerate() {
            let object = &unit.post.object;
            for post in &object.symbols {
                let is_constant = post
                    .section()
                    .is_some_and(|id| object.section(id).kind == SectionKind::Rodata)
                    && post.size > 0
                    && !names::is_numbered(&post.name)
                    && !aims::is_constant(object, post);
                let pre = named(&unit.pre.object, &post.name).filter(|s| s.size == post.size);
                let (true, Some(pre)) = (is_constant, pre) else {
                    continue;
                };
                let is_kept = plan.units.get(index).is_some_and(|u| {
                    u.exchanged.iter().any(|e| e.name == post.name)
                        || u.declared.iter().any(|d| d.is_about(&post.name))
                });
                if !is_kept && signature(&unit.pre.object, pre)? != signature(object, post)? {
                    return Err(format!("{} has changed and is left out", post.name));
                }
            }
        }
        Ok(())
    }
}

fn contents(object: &Object, symbol: &Symbol) -> Vec<u8> {
    let bytes = symbol.section().and_then(|id| {
        let end = symbol.value.checked_add(symbol.size)?;
        object.section(id).bytes_in(symbol.value, end)
    });
    bytes.unwrap_or_default().to_vec()
}

fn masked(bytes: Option<&[u8]>, fields: &[Field]) -> Option<Vec<u8>> {
    let mut bytes = bytes?.to_vec();
    for field in fields {
        let at = usize::try_from(field.offset).ok()?;
        let end = at.checked_add(field.kind.width() as usize)?;
        bytes.get_mut(at..end)?.fill(0);
    }
    Some(bytes)
}
