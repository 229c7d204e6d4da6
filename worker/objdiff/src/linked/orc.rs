//! What the stack unwinder knows of code.

use std::collections::BTreeMap;

use crate::elf::{Object, RelocKind, SectionId, SectionKind};

use super::Result;

/// sizeof(struct orc_entry).
const ENTRY_BYTES: usize = 6;
/// Marks code that the unwinder knows nothing of.
const END: [u8; ENTRY_BYTES] = [0; ENTRY_BYTES];

/// Per section: the state that holds from an offset on.
pub(super) type States = BTreeMap<SectionId, BTreeMap<u64, [u8; ENTRY_BYTES]>>;

/// Reads `.orc_unwind` and `.orc_unwind_ip`. Where two entries meet, an end
/// mark gives way, as in the kernel's own sorting.
pub(super) fn read(object: &Object) -> Result<States> {
    let mut states = States::new();
    let of = |kind| object.sections_of(kind).next();
    let (Some(data), Some(places)) = (of(SectionKind::OrcUnwind), of(SectionKind::OrcUnwindIp))
    else {
        return Ok(states);
    };
    if data.bytes.len() / ENTRY_BYTES != places.bytes.len() / 4 {
        return Err(".orc_unwind and .orc_unwind_ip do not go in step".into());
    }
    for (index, entry) in data.bytes.chunks_exact(ENTRY_BYTES).enumerate() {
        let place = places
            .reloc_at(index as u64 * 4)
            .filter(|r| r.kind == RelocKind::Pc32)
            .and_then(|r| object.reloc_place(r))
            .ok_or_else(|| format!(".orc_unwind_ip: entry {index} is about nothing"))?;
        let mut state = END;
        state.copy_from_slice(entry);
        let list = states.entry(place.section).or_default();
        if list.get(&place.offset).is_none_or(|known| *known == END) {
            list.insert(place.offset, state);
        }
    }
    Ok(states)
}

/// The states inside a range by offset from its start, the one that holds at
/// its start first, repetitions left out; `None` where nothing is known.
pub(super) fn in_range(
    states: &States,
    section: SectionId,
    start: u64,
    end: u64,
) -> Option<Vec<(u64, [u8; ENTRY_BYTES])>> {
    let list = states.get(&section)?;
    let first = list.range(..=start).next_back();
    let inside = list.range(start + 1..end.max(start + 1));
    let mut out: Vec<(u64, [u8; ENTRY_BYTES])> = Vec::new();
    for (offset, state) in first.into_iter().chain(inside) {
        if out.last().is_none_or(|(_, last)| last != state) {
            out.push((offset.saturating_sub(start), *state));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Whether an end mark lies right at an offset, so that nothing before it
/// speaks for what follows.
pub(super) fn ends_at(states: &States, section: SectionId, offset: u64) -> bool {
    let list = states.get(&section);
    list.is_some_and(|list| list.get(&offset) == Some(&END))
}
