//! Fields of code and data that depend on something else.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};

use crate::elf::{Object, RelocKind, SectionId, SymbolId};

use super::Result;

/// A field of a range of a section.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// From the range's start.
    pub offset: u64,
    pub kind: RelocKind,
    /// A jump of one byte to elsewhere in the section; no relocation can say that.
    pub is_short: bool,
    /// Bytes from the field's start to the end of its instruction; 0 outside of code.
    pub tail: i64,
    /// The target of a call or jump.
    pub is_branch: bool,
    pub aim: RawAim,
}

impl Field {
    /// Its width in bytes.
    pub(super) fn width(&self) -> u64 {
        match self.is_short {
            true => 1,
            false => self.kind.width(),
        }
    }
}

/// What a field says.
#[derive(Clone, Copy, Debug)]
pub(super) enum RawAim {
    /// A relocation: symbol and addend.
    Reloc(SymbolId, i64),
    /// Filled in by the assembler: an offset in the same section.
    Here(u64),
}

struct Decoded {
    at: u64,
    width: usize,
    tail: i64,
    is_branch: bool,
    leads_to: Option<u64>,
}

/// All fields of a range, ascending. Jumps inside of the range are not fields.
pub(super) fn of(object: &Object, id: SectionId, start: u64, end: u64) -> Result<Vec<Field>> {
    let section = object.section(id);
    let decoded = if section.kind.is_code() {
        decode(section.bytes_in(start, end).unwrap_or_default(), start)
    } else {
        Vec::new()
    };
    let mut fields = Vec::new();
    for reloc in section.relocs_in(start, end) {
        let found = decoded.iter().find(|d| d.at == reloc.offset);
        if section.kind.is_code() && reloc.kind.is_relative() && found.is_none() {
            let problem = "a relocation in no instruction's field";
            return Err(format!("{}+{:#x}: {problem}", section.name, reloc.offset));
        }
        fields.push(Field {
            offset: reloc.offset - start,
            kind: reloc.kind,
            is_short: false,
            tail: found
                .filter(|_| reloc.kind.is_relative())
                .map_or(0, |d| d.tail),
            is_branch: found.is_some_and(|d| d.is_branch),
            aim: RawAim::Reloc(reloc.symbol, reloc.addend),
        });
    }
    for d in decoded {
        let Some(to) = d.leads_to.filter(|to| !(start..end).contains(to)) else {
            continue;
        };
        if section.reloc_at(d.at).is_some() {
            continue;
        }
        fields.push(Field {
            offset: d.at - start,
            kind: RelocKind::Pc32,
            is_short: d.width != 4,
            tail: d.tail,
            is_branch: d.is_branch,
            aim: RawAim::Here(to),
        });
    }
    fields.sort_by_key(|f| f.offset);
    Ok(fields)
}

fn decode(bytes: &[u8], start: u64) -> Vec<Decoded> {
    let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut out = Vec::new();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            continue;
        }
        let offsets = decoder.get_constant_offsets(&instruction);
        let tail = |at: usize| instruction.len() as i64 - at as i64;
        if offsets.has_displacement() {
            let at = offsets.displacement_offset();
            out.push(Decoded {
                at: instruction.ip() + at as u64,
                width: offsets.displacement_size(),
                tail: tail(at),
                is_branch: false,
                leads_to: instruction
                    .is_ip_rel_memory_operand()
                    .then(|| instruction.ip_rel_memory_address()),
            });
        }
        if offsets.has_immediate() {
            let at = offsets.immediate_offset();
            let is_branch = instruction.op_count() > 0
                && matches!(
                    instruction.op0_kind(),
                    OpKind::NearBranch64 | OpKind::NearBranch32
                );
            out.push(Decoded {
                at: instruction.ip() + at as u64,
                width: offsets.immediate_size(),
                tail: tail(at),
                is_branch,
                leads_to: is_branch.then(|| instruction.near_branch_target()),
            });
        }
    }
    out
}

/// Bytes of the code from an offset to the end of its first unconditional jump.
pub(super) fn until_jump(object: &Object, id: SectionId, start: u64) -> Result<u64> {
    let section = object.section(id);
    let bytes = section.bytes_in(start, section.size).unwrap_or_default();
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    for instruction in &mut decoder {
        if instruction.is_invalid() {
            break;
        }
        if instruction.flow_control() == iced_x86::FlowControl::UnconditionalBranch {
            return Ok(instruction.next_ip());
        }
    }
    Err(format!("{}+{start:#x}: code without an end", section.name))
}
