//! From kept atoms to the delta's sections.
//!
//! Every atom becomes a section of its own, so that its relocations keep their
//! offsets; the linker joins those of one name. Tables are rebuilt from the
//! entries of the atoms that are kept.

use std::collections::BTreeMap;

use crate::atoms::Link;
use crate::compare::section_class;
use crate::diff::State;
use crate::elf::SectionKind;
use crate::error::DiffError;
use crate::names;

use super::collect::Set;
use super::constants;
use super::elf::{
    OutReloc, OutSection, OutSymbol, OutTarget, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS,
    SHT_PROGBITS,
};
use super::route::{Origin, Ref, Route};
use super::update::ImageSymbols;

/// A delta before it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub sections: Vec<OutSection>,
    pub symbols: Vec<OutSymbol>,
    pub late: Vec<Late>,
    pub replace: Vec<Replace>,
    pub hooks: Vec<Hook>,
    pub data: Vec<super::exchange::Data>,
    /// Which section an atom became.
    pub places: BTreeMap<Ref, usize>,
    /// Where table entries went, in the order of each atom's entries.
    pub entries: BTreeMap<Ref, Vec<(usize, u64)>>,
}

/// struct resplice_late before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Late {
    pub section: usize,
    pub offset: u64,
    pub addend: i64,
    /// Index into the image's symbols.
    pub symbol: u32,
    pub kind: u32,
    /// Of the alternative that the field lies under.
    pub feature: Option<u32>,
}

/// struct resplice_replace before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replace {
    pub section: usize,
    /// Index into the image's functions.
    pub old: u32,
    pub size: u64,
}

/// struct resplice_hook before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    pub section: usize,
    pub kind: u32,
    /// Of a FAIL hook: how many PRE hooks must have succeeded.
    pub after: u32,
}

/// Lays out everything a set keeps.
pub(super) fn assemble(set: &Set<'_>, image: &mut ImageSymbols) -> Result<Draft, DiffError> {
    let mut draft = Draft::default();
    for at in &set.kept {
        draft.add_atom(set, *at);
    }
    for at in &set.kept {
        draft.link_atom(set, *at, image)?;
    }
    super::exchange::add(&mut draft, set, image)?;
    super::tables::add(&mut draft, set, image)?;
    super::hooks::add(&mut draft, set)?;
    super::offers::add(&mut draft, set)?;
    for (unit, diff) in set.units.iter().enumerate() {
        for id in &diff.replaced {
            let (State::Changed(was), Some(section)) =
                (diff.states[*id], draft.places.get(&(unit, *id)))
            else {
                return Err(DiffError::SelfCheck(format!(
                    "{} was not kept",
                    diff.post.label(*id)
                )));
            };
            let names = diff.pre.symbols_of(was).map(|s| s.name.as_str());
            draft.replace.push(Replace {
                section: *section,
                old: image.function(unit, names)?,
                size: diff.post.atoms[*id].size,
            });
        }
    }
    Ok(draft)
}

impl Draft {
    fn add_atom(&mut self, set: &Set<'_>, at: Ref) {
        let post = &set.units[at.0].post;
        let (atom, source) = (&post.atoms[at.1], post.section_of(at.1));
        let zeroed = source.sh_type == SHT_NOBITS;
        let own = if atom.start == 0 {
            u64::MAX
        } else {
            1 << atom.start.trailing_zeros()
        };
        let index = self.sections.len();
        self.sections.push(OutSection {
            name: out_name(set, at),
            sh_type: if zeroed { SHT_NOBITS } else { SHT_PROGBITS },
            flags: source.flags & (SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR),
            align: source.align.min(own),
            entsize: 0,
            size: atom.size,
            bytes: post.bytes_of(at.1).to_vec(),
            relocs: Vec::new(),
        });
        self.places.insert(at, index);
        if !atom.is_content {
            let is_code = atom.kind.is_code();
            let replaces = is_code && set.units[at.0].replaces(at.1);
            for symbol in post.symbols_of(at.1) {
                self.symbols.push(OutSymbol {
                    name: match replaces {
                        true => names::replacement(&symbol.name),
                        false => symbol.name.clone(),
                    },
                    is_function: is_code,
                    is_global: false,
                    section: index,
                    size: symbol.size,
                });
            }
        }
    }

    fn link_atom(
        &mut self,
        set: &Set<'_>,
        at: Ref,
        image: &mut ImageSymbols,
    ) -> Result<(), DiffError> {
        let section = self.places[&at];
        let origin = Origin {
            unit: at.0,
            atom: at.1,
            entry: None,
        };
        for link in &set.units[at.0].post.atoms[at.1].links {
            self.add_link(set, origin, link, (section, link.offset), image)?;
        }
        for constant in constants::of(&set.units[at.0].post, at.1).unwrap_or_default() {
            let place = &constant.place;
            self.clear(section, place.start, place.end - place.start)?;
            self.late.push(Late {
                section,
                offset: place.start,
                addend: 0,
                symbol: image.named(at.0, constant.variable),
                kind: constant.late_kind(),
                feature: None,
            });
        }
        Ok(())
    }

    /// Writes one reference, as a relocation or a late one.
    pub fn add_link(
        &mut self,
        set: &Set<'_>,
        origin: Origin<'_>,
        link: &Link,
        (section, offset): (usize, u64),
        image: &mut ImageSymbols,
    ) -> Result<(), DiffError> {
        let route = set
            .route(origin, link)
            .map_err(|refusal| DiffError::SelfCheck(format!("not refused in time: {refusal}")))?;
        let feature = set.feature_at(origin, link);
        self.add_routed(
            route,
            (origin.unit, feature),
            link,
            (section, offset),
            image,
        )
    }

    /// Writes a reference of `unit` whose way is known; for `feature` see [`Late`].
    pub fn add_routed(
        &mut self,
        route: Route,
        (unit, feature): (usize, Option<u32>),
        link: &Link,
        (section, offset): (usize, u64),
        image: &mut ImageSymbols,
    ) -> Result<(), DiffError> {
        let to = match route {
            Route::Local(target) => {
                let place = self.places.get(&target).copied();
                OutTarget::Section(place.ok_or_else(|| {
                    DiffError::SelfCheck(format!("atom {} was not kept", target.1))
                })?)
            }
            Route::Import(name) => OutTarget::Import(name),
            Route::Late(of, name) => {
                let symbol = image.symbol(of, &name)?;
                return self.add_late(section, offset, link, symbol, feature);
            }
            Route::LateExternal(name) => {
                let symbol = image.external(unit, &name);
                return self.add_late(section, offset, link, symbol, feature);
            }
        };
        self.clear(section, offset, link.kind.width())?;
        self.sections[section].relocs.push(OutReloc {
            offset,
            kind: link.kind.elf(),
            to,
            addend: link.addend,
        });
        Ok(())
    }

    /// The module loader and the core both insist on empty fields.
    fn clear(&mut self, section: usize, offset: u64, width: u64) -> Result<(), DiffError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(width as usize);
        let out = &mut self.sections[section];
        out.bytes
            .get_mut(start..end)
            .ok_or_else(|| DiffError::SelfCheck(format!("{}+{offset:#x} is not there", out.name)))?
            .fill(0);
        Ok(())
    }

    pub fn add_late(
        &mut self,
        section: usize,
        offset: u64,
        link: &Link,
        symbol: u32,
        feature: Option<u32>,
    ) -> Result<(), DiffError> {
        self.clear(section, offset, link.kind.width())?;
        self.late.push(Late {
            section,
            offset,
            addend: link.addend,
            symbol,
            kind: link.kind.elf(),
            feature,
        });
        Ok(())
    }
}

/// Names that the module loader and the kernel's own scripts know.
fn out_name(set: &Set<'_>, at: Ref) -> String {
    let post = &set.units[at.0].post;
    match post.atoms[at.1].kind {
        SectionKind::MergeStrings | SectionKind::MergeConstants | SectionKind::Rodata => {
            ".rodata".to_owned()
        }
        SectionKind::PerCpu => ".data..percpu".to_owned(),
        _ => section_class(post, at.1).to_owned(),
    }
}
