//! Placing text sections to a fix-point: each placed one fixes symbol values,
//! and these settle where the ambiguous ones lie.

use std::collections::HashMap;

use super::file::Target;
use super::search::{MAX_CANDIDATES, Run, candidates, literal_runs};
use crate::elf::RelocKind;
use crate::image::Image;
use crate::image::records::{EXTERNAL, MERGED, Reloc, Role, SYMBOL_GLOBAL, Section};

/// Where a text section was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Not a text section, or not looked for yet.
    Open,
    /// There, and nowhere else.
    Placed(u64),
    /// At this many places, and nothing tells them apart.
    Ambiguous(usize),
    /// Nowhere as a whole; the likeliest address, if any.
    Missing(Option<u64>),
}

/// The first thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// From the section's start.
    pub offset: u32,
    /// Bytes of the reference object, or the value already known.
    pub expected: String,
    /// What the target has.
    pub found: String,
}

/// Symbol values that a piece of text implies.
#[derive(Default)]
struct Bindings {
    bases: HashMap<u32, u64>,
    values: HashMap<u32, u64>,
}

/// State of a match.
pub struct Matcher<'a> {
    pub image: &'a Image,
    pub target: &'a dyn Target,
    /// Per section: its base.
    pub bases: Vec<Option<u64>>,
    /// Values of external symbols.
    pub values: HashMap<u32, u64>,
    /// Per section.
    pub placements: Vec<Placement>,
    /// Per section: offsets of global symbols whose address the target tells.
    named: HashMap<u32, Vec<(u32, u64, u32)>>,
    /// Candidates that are left, per section.
    left: HashMap<usize, Vec<u64>>,
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(16)
        .map(|b| format!("{b:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}

impl<'a> Matcher<'a> {
    pub fn new(image: &'a Image, target: &'a dyn Target) -> Self {
        let count = image.sections.len();
        let mut named: HashMap<u32, Vec<(u32, u64, u32)>> = HashMap::new();
        for symbol in &image.symbols {
            let global = symbol.flags & SYMBOL_GLOBAL != 0 && symbol.section < MERGED;
            if let Some(address) = target.named(image.name(symbol.name)).filter(|_| global) {
                let list = named.entry(symbol.section).or_default();
                list.push((symbol.value, address, symbol.name));
            }
        }
        Self {
            named,
            image,
            target,
            bases: vec![None; count],
            values: HashMap::new(),
            placements: vec![Placement::Open; count],
            left: HashMap::new(),
        }
    }

    pub fn run(&mut self) {
        let mut open: Vec<usize> = (0..self.image.sections.len())
            .filter(|i| self.image.sections[*i].role == Role::Text)
            .collect();
        open.sort_by_key(|i| std::cmp::Reverse(self.image.sections[*i].size));
        loop {
            let before = open.len();
            open.retain(|index| !self.try_place(*index));
            if open.is_empty() || open.len() == before {
                break;
            }
        }
        for index in open {
            let count = self.left.get(&index).map_or(MAX_CANDIDATES + 1, Vec::len);
            self.placements[index] = Placement::Ambiguous(count);
        }
    }

    /// Whether the section's fate is settled.
    fn try_place(&mut self, index: usize) -> bool {
        let section = &self.image.sections[index];
        let all = match (self.bases[index], self.left.remove(&index)) {
            (Some(base), _) => vec![base],
            (None, Some(left)) => left,
            (None, None) => match self.search(section) {
                Some(found) => found,
                None => return false,
            },
        };
        let mut fitting: Vec<(u64, Bindings)> = all
            .into_iter()
            .filter_map(|base| Some((base, self.check(index, base).ok()?)))
            .collect();
        if fitting.len() > 1 {
            self.left
                .insert(index, fitting.into_iter().map(|(base, _)| base).collect());
            return false;
        }
        match fitting.pop() {
            Some((base, bindings)) => {
                self.placements[index] = Placement::Placed(base);
                for (section, base) in bindings.bases {
                    self.bases[section as usize] = Some(base);
                }
                self.values.extend(bindings.values);
                self.bases[index] = Some(base);
            }
            None => {
                let guess = self.bases[index].or_else(|| self.vote(section));
                self.placements[index] = Placement::Missing(guess);
            }
        }
        true
    }

    fn search(&self, section: &Section) -> Option<Vec<u64>> {
        let runs = literal_runs(self.relocs(section), 0, section.size as usize);
        let run = runs.iter().max_by_key(|run| run.len)?;
        self.candidates(section, *run)
    }

    fn candidates(&self, section: &Section, run: Run) -> Option<Vec<u64>> {
        let regions = self.target.code(self.image.name(section.name));
        candidates(
            self.image.contents(section),
            run,
            u64::from(section.align),
            &regions,
        )
    }

    /// The base that most of the longest runs point to.
    fn vote(&self, section: &Section) -> Option<u64> {
        const VOTERS: usize = 16;
        let mut runs = literal_runs(self.relocs(section), 0, section.size as usize);
        runs.sort_by_key(|run| std::cmp::Reverse(run.len));
        let mut votes: HashMap<u64, usize> = HashMap::new();
        for run in runs.into_iter().take(VOTERS) {
            for base in self.candidates(section, run).unwrap_or_default() {
                *votes.entry(base).or_default() += 1;
            }
        }
        let most = *votes.values().max()?;
        let mut best = votes
            .iter()
            .filter(|(_, n)| **n == most)
            .map(|(base, _)| *base);
        let first = best.next()?;
        best.next().is_none().then_some(first)
    }

    /// The value of a symbol as far as matching has told; merged pieces have none.
    pub fn value_of(&self, symbol: u32) -> Option<u64> {
        let record = self.image.symbols.get(symbol as usize)?;
        if record.section == EXTERNAL {
            return self.values.get(&symbol).copied();
        }
        let base = self.bases.get(record.section as usize).copied().flatten()?;
        Some(base.wrapping_add(u64::from(record.value)))
    }

    pub fn relocs(&self, section: &Section) -> &'a [Reloc] {
        section.relocs.of(&self.image.relocs)
    }

    /// Whether the whole section lies at `base`, and what that implies.
    fn check(&self, index: usize, base: u64) -> Result<Bindings, Difference> {
        let section = &self.image.sections[index];
        let mut bindings = Bindings::default();
        bindings.bases.insert(index as u32, base);
        for (offset, address, name) in self.named.get(&(index as u32)).into_iter().flatten() {
            let here = base.wrapping_add(u64::from(*offset));
            if here != *address {
                return Err(Difference {
                    offset: *offset,
                    expected: format!("{} at {address:#x}", self.image.name(*name)),
                    found: format!("{here:#x}"),
                });
            }
        }
        self.compare(section, base, 0, section.size, &mut bindings)?;
        Ok(bindings)
    }

    /// Compares `start..end` of a section that would lie at `base`; the first
    /// difference otherwise. What is known so far is taken into account.
    pub fn difference(
        &self,
        section: &Section,
        base: u64,
        start: u32,
        end: u32,
    ) -> Option<Difference> {
        self.compare(section, base, start, end, &mut Bindings::default())
            .err()
    }

    fn compare(
        &self,
        section: &Section,
        base: u64,
        start: u32,
        end: u32,
        bindings: &mut Bindings,
    ) -> Result<(), Difference> {
        let contents = self.image.contents(section);
        let relocs = self.relocs(section);
        let inside = |r: &&Reloc| r.offset >= start && r.offset < end;
        let len = u64::from(end - start);
        let from = base.wrapping_add(u64::from(start));
        let Some(found) = self.target.read(from, len) else {
            return Err(Difference {
                offset: start,
                expected: format!("{len} bytes of code"),
                found: format!("nothing at {from:#x}"),
            });
        };
        for run in literal_runs(relocs, start as usize, end as usize) {
            let expected = contents.get(run.start..run.start + run.len).unwrap_or(&[]);
            let at = run.start - start as usize;
            let got = found.get(at..at + run.len).unwrap_or(&[]);
            if let Some(bad) = (0..run.len).find(|i| expected.get(*i) != got.get(*i)) {
                return Err(Difference {
                    offset: (run.start + bad) as u32,
                    expected: hex(&expected[bad..]),
                    found: hex(got.get(bad..).unwrap_or(&[])),
                });
            }
        }
        let count = relocs.iter().filter(inside).count();
        if let Some(theirs) = self.target.relocs_in(from, len)
            && theirs != count
        {
            return Err(Difference {
                offset: start,
                expected: format!("{count} relocations"),
                found: format!("{theirs} relocations"),
            });
        }
        relocs
            .iter()
            .filter(inside)
            .try_for_each(|r| self.relocation(r, base, bindings))
    }

    fn relocation(
        &self,
        reloc: &Reloc,
        base: u64,
        bindings: &mut Bindings,
    ) -> Result<(), Difference> {
        let differs = |expected: String, found: String| Difference {
            offset: reloc.offset,
            expected,
            found,
        };
        let address = base.wrapping_add(u64::from(reloc.offset));
        let field =
            RelocKind::from_elf(reloc.kind).and_then(|kind| self.target.field(address, kind));
        let symbol = self.image.symbols.get(reloc.symbol as usize);
        let (Some(field), Some(symbol)) = (field, symbol) else {
            return Err(differs("a relocated field".into(), "none".into()));
        };
        let value = field.wrapping_sub(reloc.addend as u64);
        let name = self.image.name(symbol.name);
        if symbol.section == MERGED {
            let expected = self.image.slice(symbol.value, symbol.size);
            let found = self.target.read(value, u64::from(symbol.size));
            return if found == Some(expected) {
                Ok(())
            } else {
                let found = found.map_or_else(|| format!("nothing at {value:#x}"), hex);
                Err(differs(format!("constant {}", hex(expected)), found))
            };
        }
        if symbol.section == EXTERNAL {
            let own = self.target.named(name);
            let known = self.values.get(&reloc.symbol).copied().or(own);
            let known = *bindings
                .values
                .entry(reloc.symbol)
                .or_insert(known.unwrap_or(value));
            return if known == value {
                Ok(())
            } else {
                Err(differs(
                    format!("{name} at {known:#x}"),
                    format!("{value:#x}"),
                ))
            };
        }
        let start = value.wrapping_sub(u64::from(symbol.value));
        let known = self.bases.get(symbol.section as usize).copied().flatten();
        let known = *bindings
            .bases
            .entry(symbol.section)
            .or_insert(known.unwrap_or(start));
        if known == start {
            return Ok(());
        }
        let section = self.image.sections.get(symbol.section as usize);
        let section = section.map_or("", |s| self.image.name(s.name));
        Err(differs(
            format!("{section} ({name}) at {known:#x}"),
            format!("{start:#x}"),
        ))
    }

    /// A function of a section that is not there as a whole: where it alone
    /// lies, if at exactly one place.
    pub fn find_alone(&self, section: &Section, start: u32, end: u32) -> Option<u64> {
        let relocs = self.relocs(section);
        let runs = literal_runs(relocs, start as usize, end as usize);
        let run = runs.iter().max_by_key(|run| run.len)?;
        let contents = self
            .image
            .contents(section)
            .get(start as usize..end as usize)?;
        let shifted = Run {
            start: run.start - start as usize,
            len: run.len,
        };
        let regions = self.target.code(self.image.name(section.name));
        let mut fitting = candidates(contents, shifted, 1, &regions)?
            .into_iter()
            .map(|address| address.wrapping_sub(u64::from(start)))
            .filter(|base| self.difference(section, *base, start, end).is_none());
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}
