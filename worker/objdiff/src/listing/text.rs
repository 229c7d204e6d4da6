//! A function's bytes as text.

use super::{Line, Side};
use crate::elf::{Object, Place, Reloc, Section, Symbol, SymbolKind};
use crate::names;
use iced_x86::{
    ConstantOffsets, Decoder, DecoderOptions, Formatter, GasFormatter, Instruction, OpKind,
    SymbolResolver, SymbolResult,
};

/// Longest text of an instruction in bytes.
const MAX_TEXT_BYTES: usize = 200;
/// Most bytes of a string that are shown.
const MAX_STRING_BYTES: usize = 60;
/// `sh_flags`: the section holds strings.
const SHF_STRINGS: u64 = 0x20;

/// Reads a function, `most` instructions of it.
pub(super) fn read(object: &Object, symbol: &Symbol, most: usize) -> Side {
    let end = symbol.value.saturating_add(symbol.size);
    let section = symbol.section().map(|id| object.section(id));
    let Some((section, code)) =
        section.and_then(|section| Some((section, section.bytes_in(symbol.value, end)?)))
    else {
        return Side::default();
    };
    let function = Function {
        object,
        section,
        start: symbol.value,
        end,
    };
    let mut decoder = Decoder::with_ip(64, code, symbol.value, DecoderOptions::NONE);
    let mut side = Side::default();
    let mut instruction = Instruction::default();
    while decoder.can_decode() && side.lines.len() < most {
        let from = decoder.position();
        decoder.decode_out(&mut instruction);
        let bytes = code.get(from..decoder.position()).unwrap_or_default();
        let offsets = decoder.get_constant_offsets(&instruction);
        side.lines.push(function.line(&instruction, offsets, bytes));
    }
    side.cut_bytes = code.len().saturating_sub(decoder.position()) as u64;
    side
}

struct Function<'o> {
    object: &'o Object,
    section: &'o Section,
    start: u64,
    end: u64,
}

impl Function<'_> {
    fn line(&self, instruction: &Instruction, offsets: ConstantOffsets, bytes: &[u8]) -> Line {
        let referred = |has_field: bool, offset: usize| {
            let field = instruction.ip().wrapping_add(offset as u64);
            let reloc = self.section.reloc_at(field).filter(|_| has_field)?;
            Some(self.referred(reloc, instruction.next_ip()))
        };
        let mut names = Names {
            displacement: referred(offsets.has_displacement(), offsets.displacement_offset()),
            immediate: referred(offsets.has_immediate(), offsets.immediate_offset()),
        };
        let is_branch =
            instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
        let mut target = None;
        if is_branch && names.immediate.is_none() {
            let to = instruction.near_branch_target();
            target = (self.start..self.end).contains(&to).then_some(to);
            names.immediate = Some(self.named(Place {
                section: self.section.id,
                offset: to,
            }));
        }
        let mut text = String::new();
        if target.is_some() {
            formatter(None).format_mnemonic(instruction, &mut text);
        } else {
            formatter(Some(names)).format(instruction, &mut text);
        }
        shorten(&mut text, MAX_TEXT_BYTES);
        Line {
            offset: instruction.ip().wrapping_sub(self.start),
            bytes: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            text,
            target: target.map(|to| to.wrapping_sub(self.start)),
        }
    }

    /// What a field refers to, of an instruction that ends there.
    fn referred(&self, reloc: &Reloc, next: u64) -> String {
        let symbol = self.object.symbol(reloc.symbol);
        let tail = if reloc.kind.is_relative() {
            next.wrapping_sub(reloc.offset)
        } else {
            0
        };
        let addend = reloc.addend.wrapping_add_unsigned(tail);
        let is_name = symbol.kind != SymbolKind::Section && !names::is_constant(&symbol.name);
        match self.object.place(symbol.id, addend).filter(|_| !is_name) {
            Some(place) => self.named(place),
            None => with_offset(&names::normalise(&symbol.name), addend),
        }
    }

    /// A place by what it says, its symbol, or else its section.
    fn named(&self, place: Place) -> String {
        let section = self.object.section(place.section);
        let said = (section.flags & SHF_STRINGS != 0)
            .then(|| section.bytes_in(place.offset, section.size))
            .flatten()
            .and_then(|bytes| bytes.split(|byte| *byte == 0).next());
        if let Some(bytes) = said {
            let mut text = bytes.escape_ascii().to_string();
            shorten(&mut text, MAX_STRING_BYTES);
            return format!("\"{text}\"");
        }
        let (name, start) = match self.object.symbol_covering(place) {
            Some(symbol) => (names::normalise(&symbol.name), symbol.value),
            None => (section.name.clone(), 0),
        };
        let offset = i64::try_from(place.offset.saturating_sub(start)).unwrap_or(i64::MAX);
        with_offset(&name, offset)
    }
}

/// What an instruction's fields refer to.
struct Names {
    displacement: Option<String>,
    immediate: Option<String>,
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _: u32,
        operand: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let name = match instruction.op_kind(operand?) {
            OpKind::Memory => &self.displacement,
            _ => &self.immediate,
        };
        Some(SymbolResult::with_str(address, name.as_deref()?))
    }
}

fn formatter(names: Option<Names>) -> GasFormatter {
    let names = names.map(|names| Box::new(names) as Box<dyn SymbolResolver>);
    let mut formatter = GasFormatter::with_options(names, None);
    let options = formatter.options_mut();
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_space_after_operand_separator(false);
    formatter
}

fn with_offset(name: &str, offset: i64) -> String {
    match offset {
        0 => name.to_owned(),
        1.. => format!("{name}+{offset:#x}"),
        _ => format!("{name}-{:#x}", offset.unsigned_abs()),
    }
}

fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
}
