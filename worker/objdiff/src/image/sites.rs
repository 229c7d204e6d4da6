//! From table entries to sites: where running text may lawfully differ, and how.

use super::ImageError;
use super::records::{Site, SiteKind, Span, Variant};
use super::unit::Unit;
use crate::elf::{Place, Section, SectionKind};
use crate::sites::{
    Detail, ENDBR, Entry, begins_with_endbr, jump_label_len, retpoline_len, thunk_register,
};
use std::collections::BTreeSet;

/// Bytes of a near call or jump, of the fentry slot, and of a return site.
const NEAR: u64 = 5;
/// Bytes of a `__SCT__` trampoline.
const TRAMPOLINE: u64 = 8;

/// Adds the sites of one matched section, ascending by offset.
pub(super) fn add(unit: &mut Unit<'_>, section: &Section) -> Result<Span, ImageError> {
    let mut entries: Vec<Entry> = unit
        .entries
        .iter()
        .filter(|e| e.code.section == section.id)
        .cloned()
        .collect();
    entries.sort_by_key(|e| (e.code.offset, e.kind != SectionKind::Altinstructions));
    let mut sites = Vec::new();
    let mut rest = entries.as_slice();
    while let Some(entry) = rest.first() {
        let mut taken = 1;
        if entry.kind == SectionKind::Altinstructions {
            taken = rest
                .iter()
                .take_while(|e| e.kind == entry.kind && e.code == entry.code)
                .count();
            sites.push(alternative(unit, section, &rest[..taken])?);
        } else if let Some(site) = single(unit, section, entry)? {
            sites.push(site);
        }
        rest = &rest[taken..];
    }
    if section.kind == SectionKind::StaticCallText {
        // One that calls nothing is a return to objtool, until the kernel aims it elsewhere.
        sites.retain(|site| site.kind != SiteKind::Return);
        trampolines(unit, section, &mut sites)?;
    }
    seals(unit, section, &mut sites)?;
    sites.sort_by_key(|s| s.offset);
    let first = unit.builder.image.sites.len() as u32;
    let count = sites.len() as u32;
    unit.builder.image.sites.append(&mut sites);
    Ok(Span { first, count })
}

fn site(
    unit: &Unit<'_>,
    section: &Section,
    place: Place,
    kind: SiteKind,
    len: u64,
) -> Result<Site, ImageError> {
    if place
        .offset
        .checked_add(len)
        .is_none_or(|end| end > section.size)
    {
        return Err(unit.unsupported(place, "a patch site reaches beyond its section"));
    }
    let len = u16::try_from(len)
        .map_err(|_| unit.unsupported(place, "a patch site is longer than 64 KiB"))?;
    Ok(Site {
        offset: place.offset as u32,
        kind,
        len,
        a: 0,
        b: 0,
    })
}

/// Sites described by one entry; `None` for tables that change no code.
fn single(
    unit: &mut Unit<'_>,
    section: &Section,
    entry: &Entry,
) -> Result<Option<Site>, ImageError> {
    let place = entry.code;
    let code = section
        .bytes_in(place.offset, section.size)
        .unwrap_or(&[])
        .to_vec();
    let refuse = |unit: &Unit<'_>, problem: &str| Err(unit.unsupported(place, problem));
    let found = match &entry.detail {
        Detail::Fentry => {
            if !matches!(
                code.as_slice(),
                [0xe8, ..] | [0x0f, 0x1f, 0x44, 0x00, 0x00, ..]
            ) {
                return refuse(unit, "__mcount_loc names something that is no fentry slot");
            }
            site(unit, section, place, SiteKind::Fentry, NEAR)?
        }
        Detail::Return => {
            if code.first() != Some(&0xe9) {
                return refuse(unit, ".return_sites names something that is no jump");
            }
            site(unit, section, place, SiteKind::Return, NEAR)?
        }
        Detail::Retpoline => retpoline(unit, section, place, &code)?,
        Detail::Paravirt { operation, len } => {
            let found = site(unit, section, place, SiteKind::Paravirt, u64::from(*len))?;
            Site {
                a: u32::from(*operation),
                ..found
            }
        }
        Detail::SmpLock => {
            if code.first() != Some(&0xf0) {
                return refuse(unit, ".smp_locks names something that is no lock prefix");
            }
            site(unit, section, place, SiteKind::SmpLock, 1)?
        }
        Detail::JumpLabel { target, .. } => {
            let Some(len) = jump_label_len(&code) else {
                return refuse(unit, "__jump_table names something that is no jump label");
            };
            let found = site(unit, section, place, SiteKind::JumpLabel, len)?;
            let offset = u32::try_from(target.offset)
                .map_err(|_| unit.unsupported(place, "target beyond 32 bits"))?;
            Site {
                a: unit.section(target.section)?,
                b: offset,
                ..found
            }
        }
        Detail::StaticCall { key, flags } => {
            let Some(len) = retpoline_len(&code) else {
                return refuse(unit, ".static_call_sites names something that is no call");
            };
            let found = site(unit, section, place, SiteKind::StaticCall, len)?;
            Site {
                a: unit.key(*key, place)?,
                b: u32::from(flags & 1),
                ..found
            }
        }
        Detail::RuntimeConst { variable, len } => {
            let found = site(
                unit,
                section,
                place,
                SiteKind::RuntimeConst,
                u64::from(*len),
            )?;
            let variable = unit.named(variable);
            Site {
                a: variable,
                ..found
            }
        }
        // Recorded for faults and unwinding only; the code stays as it is. What seals are
        // about is an endbr, each of which may have one.
        Detail::Call
        | Detail::EndbrSeal
        | Detail::Bug
        | Detail::Exception { .. }
        | Detail::Orc { .. }
        | Detail::Alternative { .. } => {
            return Ok(None);
        }
    };
    Ok(Some(found))
}

fn retpoline(
    unit: &Unit<'_>,
    section: &Section,
    place: Place,
    code: &[u8],
) -> Result<Site, ImageError> {
    let Some(len) = retpoline_len(code) else {
        return Err(unit.unsupported(place, ".retpoline_sites names something that is no branch"));
    };
    let register = section
        .relocs_in(place.offset, place.offset + len)
        .first()
        .and_then(|reloc| thunk_register(&unit.object.symbol(reloc.symbol).name));
    let Some(register) = register else {
        return Err(unit.unsupported(place, "a retpoline site without a register's thunk"));
    };
    let found = site(unit, section, place, SiteKind::Retpoline, len)?;
    Ok(Site {
        a: u32::from(register),
        ..found
    })
}

/// One site for all alternatives at one place, in table order: a later one
/// that applies overwrites an earlier one.
fn alternative(
    unit: &mut Unit<'_>,
    section: &Section,
    entries: &[Entry],
) -> Result<Site, ImageError> {
    let mut len = 0;
    let mut variants = Vec::new();
    let mut place = Place {
        section: section.id,
        offset: 0,
    };
    for entry in entries {
        place = entry.code;
        let Detail::Alternative {
            replacement,
            feature,
            original_len,
            replacement_len,
        } = entry.detail
        else {
            continue;
        };
        len = len.max(u64::from(original_len));
        variants.push(variant(unit, replacement, feature, replacement_len)?);
    }
    let first = unit.builder.image.variants.len() as u32;
    let count = variants.len() as u32;
    unit.builder.image.variants.append(&mut variants);
    let found = site(unit, section, place, SiteKind::Alternative, len)?;
    Ok(Site {
        a: first,
        b: count,
        ..found
    })
}

fn variant(
    unit: &mut Unit<'_>,
    replacement: Option<Place>,
    feature: u32,
    len: u8,
) -> Result<Variant, ImageError> {
    let mut record = Variant {
        bytes: 0,
        len: u32::from(len),
        relocs: Span {
            first: unit.builder.image.relocs.len() as u32,
            count: 0,
        },
        section: super::records::NONE,
        offset: 0,
        feature,
    };
    let Some(at) = replacement else {
        return Ok(record);
    };
    let object = unit.object;
    let section = object.section(at.section);
    let end = at.offset + u64::from(len);
    let Some(bytes) = section.bytes_in(at.offset, end) else {
        return Err(unit.unsupported(at, "a replacement reaches beyond its section"));
    };
    record.bytes = unit.push_bytes(bytes);
    record.relocs = unit.push_relocs(section, at.offset, end)?;
    record.section = unit.section(at.section)?;
    record.offset = at.offset as u32;
    Ok(record)
}

/// Which functions' entries the kernel seals follows from the whole kernel: any may be.
fn seals(unit: &Unit<'_>, section: &Section, sites: &mut Vec<Site>) -> Result<(), ImageError> {
    let functions = unit
        .object
        .symbols_in(section.id)
        .filter(|s| s.is_function());
    let starts: BTreeSet<u64> = functions.map(|s| s.value).collect();
    for offset in starts {
        if !begins_with_endbr(section, offset) {
            continue;
        }
        let place = Place {
            section: section.id,
            offset,
        };
        sites.push(site(
            unit,
            section,
            place,
            SiteKind::Endbr,
            ENDBR.len() as u64,
        )?);
    }
    Ok(())
}

fn trampolines(
    unit: &mut Unit<'_>,
    section: &Section,
    sites: &mut Vec<Site>,
) -> Result<(), ImageError> {
    let object = unit.object;
    for symbol in object.symbols_in(section.id) {
        let Some(suffix) = symbol.name.strip_prefix("__SCT__") else {
            continue;
        };
        let place = Place {
            section: section.id,
            offset: symbol.value,
        };
        let found = site(unit, section, place, SiteKind::Trampoline, TRAMPOLINE)?;
        let key = unit.named(&format!("__SCK__{suffix}"));
        sites.push(Site { a: key, ..found });
    }
    Ok(())
}
