//! Fields inside instructions.
//!
//! A relative relocation counts from the end of its instruction, which only
//! decoding tells: `cmpl $0, x(%rip)` has one byte after the field, `jmp x`
//! none. Without that, a reference to the first byte of one variable looks
//! like one to the last bytes of its neighbour.

use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};

use crate::elf::SectionId;

use super::Unit;

/// What an instruction says about one of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Bytes from the field's start to the instruction's end.
    pub tail: i64,
    /// The field is the target of a call or jump.
    pub is_branch: bool,
    /// Bytes of the field.
    pub width: usize,
    /// Offset in the section that it leads to, if the assembler filled it in.
    pub leads_to: Option<u64>,
}

/// Fields by section and offset.
pub(super) type Fields = BTreeMap<(SectionId, u64), Field>;

/// Decodes all code that has relocations.
pub(super) fn decode(unit: &Unit) -> Fields {
    let mut fields = Fields::new();
    for section in &unit.object.sections {
        if !section.kind.is_code() || section.relocs.is_empty() {
            continue;
        }
        let mut start = 0;
        let cuts = unit.by_section[section.id.0 as usize]
            .iter()
            .map(|id| unit.atoms[*id].start)
            .chain([section.size]);
        for end in cuts {
            let bytes = section.bytes_in(start, end).unwrap_or_default();
            decode_run(section.id, bytes, start, &mut fields);
            start = end;
        }
    }
    fields
}

fn decode_run(section: SectionId, bytes: &[u8], start: u64, fields: &mut Fields) {
    let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            continue;
        }
        let offsets = decoder.get_constant_offsets(&instruction);
        let mut note = |at: usize, width: usize, is_branch: bool, leads_to: Option<u64>| {
            let tail = (instruction.len() as i64) - (at as i64);
            let field = Field {
                tail,
                is_branch,
                width,
                leads_to,
            };
            fields.insert((section, instruction.ip() + at as u64), field);
        };
        if offsets.has_displacement() {
            let leads_to = instruction
                .is_ip_rel_memory_operand()
                .then(|| instruction.ip_rel_memory_address());
            let width = offsets.displacement_size();
            note(offsets.displacement_offset(), width, false, leads_to);
        }
        if offsets.has_immediate() {
            let is_branch = instruction.op_count() > 0
                && matches!(
                    instruction.op0_kind(),
                    OpKind::NearBranch64 | OpKind::NearBranch32
                );
            let leads_to = is_branch.then(|| instruction.near_branch_target());
            let width = offsets.immediate_size();
            note(offsets.immediate_offset(), width, is_branch, leads_to);
        }
    }
}
