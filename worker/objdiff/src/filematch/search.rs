//! Finding where a text section may lie: by its longest relocation-free runs.

use memchr::memmem;

use super::file::Region;
use crate::image::records::Reloc;

/// A run of literal bytes of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// From the section's start.
    pub start: usize,
    /// Bytes.
    pub len: usize,
}

/// Candidates beyond this many are as good as none.
pub const MAX_CANDIDATES: usize = 4096;

/// Bytes of a relocated field.
pub fn width(kind: u32) -> usize {
    crate::elf::RelocKind::from_elf(kind).map_or(8, |kind| kind.width() as usize)
}

/// The literal runs in `start..end`, between relocated fields.
pub fn literal_runs(relocs: &[Reloc], start: usize, end: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = start;
    for reloc in relocs {
        let offset = reloc.offset as usize;
        if offset >= end {
            break;
        }
        if offset > at {
            runs.push(Run {
                start: at,
                len: offset - at,
            });
        }
        at = at.max(offset + width(reloc.kind));
    }
    if end > at {
        runs.push(Run {
            start: at,
            len: end - at,
        });
    }
    runs
}

/// Addresses at which `contents` may start, going by one of its runs.
/// `None` if there are more than [`MAX_CANDIDATES`].
pub fn candidates(
    contents: &[u8],
    run: Run,
    align: u64,
    regions: &[Region<'_>],
) -> Option<Vec<u64>> {
    let needle = contents.get(run.start..run.start + run.len)?;
    let finder = memmem::Finder::new(needle);
    let mut found = Vec::new();
    for region in regions {
        let mut from = 0;
        while let Some(hit) = region.bytes.get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + hit;
            from = at + 1;
            let Some(start) = at.checked_sub(run.start) else {
                continue;
            };
            let address = region.address.wrapping_add(start as u64);
            if start + contents.len() > region.bytes.len() || !address.is_multiple_of(align) {
                continue;
            }
            if found.len() == MAX_CANDIDATES {
                return None;
            }
            found.push(address);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn runs_leave_relocated_fields_out() {
        let reloc = |offset| Reloc {
            offset,
            kind: 2,
            symbol: 0,
            addend: 0,
        };
        let runs = literal_runs(&[reloc(1), reloc(10)], 0, 20);
        assert_eq!(
            runs,
            [
                Run { start: 0, len: 1 },
                Run { start: 5, len: 5 },
                Run { start: 14, len: 6 }
            ]
        );
        assert_eq!(literal_runs(&[reloc(1)], 1, 5), []);
    }

    #[test]
    fn candidates_are_aligned_and_inside() {
        let bytes = b"..abc...abc.ab";
        let region = Region {
            name: ".text",
            address: 0x1000,
            bytes,
        };
        let run = Run { start: 0, len: 3 };
        assert_eq!(
            candidates(b"abc", run, 1, &[region]).unwrap(),
            [0x1002, 0x1008]
        );
        assert_eq!(candidates(b"abc", run, 8, &[region]).unwrap(), [0x1008]);
        assert_eq!(
            candidates(b"abc.ab..", run, 1, &[region]).unwrap(),
            [0x1002]
        );
    }
}
