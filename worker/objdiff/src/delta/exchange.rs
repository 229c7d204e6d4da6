//! Read-only data that is exchanged in place: contents before and after, both
//! relocated in the update.

use crate::atoms::{AtomId, Link, Target, Unit};
use crate::diff::Exchange;
use crate::elf::{Binding, Definition, RelocKind};
use crate::error::DiffError;
use crate::plan::Refusal;

use super::assemble::Draft;
use super::collect::Set;
use super::elf::{OutSection, SHF_ALLOC};
use super::route::{Origin, Route};
use super::update::ImageSymbols;

/// Keeps words words in the module.
const ALIGN: u64 = 8;

/// struct resplice_data before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Data {
    /// Section with what must be there.
    pub before: usize,
    /// Section with what shall be there.
    pub after: usize,
    /// Index into the image's symbols.
    pub symbol: u32,
    /// From the symbol.
    pub offset: u64,
    pub size: u64,
}

/// The way of a reference in data as they are before the exchange.
pub(super) enum Before {
    Route(Route),
    /// To contents without an address of their own, and how far into them.
    Contents(Vec<u8>),
}

impl Set<'_> {
    /// What a reference of existing data means in the running kernel.
    pub fn route_before(&self, unit: usize, link: &Link) -> Result<Before, Refusal> {
        let pre = &self.units[unit].pre;
        match link.target {
            Target::Atom(id) if pre.atoms[id].is_content => contents(pre, id, link),
            Target::Atom(id) => self.late(unit, id, &pre.label(id)).map(Before::Route),
            Target::External(symbol) => {
                let symbol = pre.object.symbol(symbol);
                for (unit, diff) in self.units.iter().enumerate() {
                    if let Some(id) = diff.pre.global(&symbol.name) {
                        return self.late(unit, id, &symbol.name).map(Before::Route);
                    }
                }
                let name = symbol.name.clone();
                if self.imports(&name) {
                    return Ok(Before::Route(Route::Import(name)));
                }
                if symbol.definition == Definition::Absolute || symbol.binding == Binding::Weak {
                    let sentence = format!(
                        "{name} may be undefined in the running kernel (a weak or absolute symbol)"
                    );
                    return Err(Refusal::new("weak-reference", name, sentence));
                }
                Ok(Before::Route(Route::LateExternal(name)))
            }
        }
    }
}

/// Contents that the core can compare with what the running pointer leads to.
fn contents(pre: &Unit, id: AtomId, link: &Link) -> Result<Before, Refusal> {
    let bytes = pre.bytes_of(id);
    if link.kind == RelocKind::Abs64 && pre.atoms[id].links.is_empty() && !bytes.is_empty() {
        return Ok(Before::Contents(bytes.to_vec()));
    }
    let label = pre.label(id);
    let sentence = format!("existing data refer to {label} in a way that can't be followed");
    Err(Refusal::new("unmatched-reference", label, sentence))
}

/// Adds all exchanges to the draft.
pub(super) fn add(
    draft: &mut Draft,
    set: &Set<'_>,
    image: &mut ImageSymbols,
) -> Result<(), DiffError> {
    for (unit, diff) in set.units.iter().enumerate() {
        for exchange in &diff.exchanges {
            let name = diff.reference_name(exchange.was).ok_or_else(|| {
                let label = diff.pre.label(exchange.was);
                DiffError::SelfCheck(format!("{label} is not in the reference"))
            })?;
            let symbol = image.symbol(unit, name)?;
            for index in 0..exchange.spans.len() {
                add_span(draft, set, (unit, exchange, index), symbol, image)?;
            }
        }
    }
    Ok(())
}

fn add_span(
    draft: &mut Draft,
    set: &Set<'_>,
    (unit, exchange, index): (usize, &Exchange, usize),
    symbol: u32,
    image: &mut ImageSymbols,
) -> Result<(), DiffError> {
    let span = &exchange.spans[index];
    let diff = &set.units[unit];
    let before = push(draft, &diff.pre, exchange.was, span)?;
    let after = push(draft, &diff.post, exchange.id, span)?;
    let origin = Origin {
        unit,
        atom: exchange.id,
        entry: None,
    };
    let inside = |l: &&Link| span.contains(&l.offset);
    for link in diff.pre.atoms[exchange.was].links.iter().filter(inside) {
        let to = set
            .route_before(unit, link)
            .map_err(|refusal| DiffError::SelfCheck(format!("not refused in time: {refusal}")))?;
        let place = (before, link.offset - span.start);
        match to {
            Before::Route(route) => draft.add_routed(route, (unit, None), link, place, image)?,
            Before::Contents(bytes) => {
                let constant = image.constant(unit, &bytes);
                draft.add_late(place.0, place.1, link, constant, None)?;
            }
        }
    }
    for link in diff.post.atoms[exchange.id].links.iter().filter(inside) {
        let place = (after, link.offset - span.start);
        draft.add_link(set, origin, link, place, image)?;
    }
    draft.data.push(Data {
        before,
        after,
        symbol,
        offset: span.start,
        size: span.end - span.start,
    });
    Ok(())
}

fn push(
    draft: &mut Draft,
    unit: &Unit,
    id: AtomId,
    span: &std::ops::Range<u64>,
) -> Result<usize, DiffError> {
    let start = unit.atoms[id].start;
    let bytes = unit
        .section_of(id)
        .bytes_in(start + span.start, start + span.end)
        .ok_or_else(|| DiffError::SelfCheck(format!("{} has no contents", unit.label(id))))?;
    let section = OutSection::new(".rodata", SHF_ALLOC, ALIGN, bytes.to_vec());
    draft.sections.push(section);
    Ok(draft.sections.len() - 1)
}
