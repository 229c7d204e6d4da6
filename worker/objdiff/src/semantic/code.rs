//! What the code of a unit calls, with which constants, and what it stores.
//!
//! A constant counts as known at a call only if every way to the call sets it:
//! whatever a jump, a table or a label leads to forgets all registers.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Code as Op, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

use crate::elf::{Object, Place, Section, SectionId, SymbolKind};
use crate::names;

/// The registers of a call's first arguments (x86-64 psABI, as in the kernel).
const ARGUMENTS: [Register; 6] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
    Register::R9,
];
/// Smaller constants are no sizes of interest.
const MIN_CONSTANT: u64 = 8;

/// The functions of an object by symbol; a cold part belongs to its function.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub functions: BTreeMap<String, FunctionCode>,
}

/// What one function does.
#[derive(Debug, Default)]
pub(super) struct FunctionCode {
    pub calls: Vec<Call>,
    pub constants: Vec<Constant>,
    pub stores: Vec<Store>,
}

/// A call or a jump to another function.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub callee: String,
    /// The arguments that are constants.
    pub arguments: [Option<u64>; 6],
    /// Where in [`FunctionCode::constants`] they come from.
    sources: [Option<usize>; 6],
}

/// A number in an instruction.
#[derive(Debug)]
pub(super) struct Constant {
    pub value: u64,
    /// A call that is understood takes it as a size.
    pub is_explained: bool,
}

/// A store through a register other than the stack's.
#[derive(Debug)]
pub(super) struct Store {
    pub displacement: u64,
    pub bytes: u64,
    pub is_zero: bool,
}

impl FunctionCode {
    /// Says that argument `index` of call `call` is understood.
    pub fn explain(&mut self, call: usize, index: usize) {
        let source = self.calls[call].sources[index];
        if let Some(constant) = source.and_then(|at| self.constants.get_mut(at)) {
            constant.is_explained = true;
        }
    }
}

impl Code {
    /// Reads all code of an object, `__init` code as well.
    pub fn read(object: &Object) -> Self {
        let mut code = Self::default();
        let mut leads = places_led_to(object);
        for section in object.sections.iter().filter(|s| s.kind.is_code()) {
            let targets = leads.remove(&section.id).unwrap_or_default();
            code.section(object, section, targets);
        }
        code
    }

    fn section(&mut self, object: &Object, section: &Section, mut targets: BTreeSet<u64>) {
        for instruction in &mut Decoder::with_ip(64, &section.bytes, 0, DecoderOptions::NONE) {
            if is_near_branch(&instruction) {
                targets.insert(instruction.near_branch_target());
            }
        }
        let functions = object
            .symbols_in(section.id)
            .filter(|s| s.kind == SymbolKind::Function && s.size > 0);
        let mut last = None;
        for symbol in functions {
            let end = symbol.value.saturating_add(symbol.size);
            // Aliases cover the same bytes.
            if last == Some((symbol.value, end)) {
                continue;
            }
            last = Some((symbol.value, end));
            let Some(bytes) = section.bytes_in(symbol.value, end) else {
                continue;
            };
            let name = names::cold_parent(&symbol.name).unwrap_or(&symbol.name);
            let run = Run {
                object,
                section,
                targets: &targets,
                function: self.functions.entry(name.to_owned()).or_default(),
                registers: [None; 16],
            };
            run.decode(bytes, symbol.value);
        }
    }
}

/// Per section of code: what relocations refer to, of jump tables, fix-ups,
/// jump labels or other code.
fn places_led_to(object: &Object) -> BTreeMap<SectionId, BTreeSet<u64>> {
    let mut leads: BTreeMap<SectionId, BTreeSet<u64>> = BTreeMap::new();
    for section in &object.sections {
        for reloc in &section.relocs {
            let symbol = object.symbol(reloc.symbol);
            let Some(target) = symbol.section() else {
                continue;
            };
            let mut at = symbol.value.wrapping_add_signed(reloc.addend);
            if reloc.kind.is_relative() && section.kind.is_code() {
                at = at.wrapping_add(4); // a jump's field ends the instruction
            }
            leads.entry(target).or_default().insert(at);
        }
    }
    leads
}

fn is_near_branch(instruction: &Instruction) -> bool {
    instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64
}

/// One run of instructions.
struct Run<'a> {
    object: &'a Object,
    section: &'a Section,
    targets: &'a BTreeSet<u64>,
    function: &'a mut FunctionCode,
    /// Constants in the general-purpose registers, and where they come from.
    registers: [Option<(u64, Option<usize>)>; 16],
}

impl Run<'_> {
    fn decode(mut self, bytes: &[u8], start: u64) {
        let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
        let mut factory = InstructionInfoFactory::new();
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if self.targets.contains(&instruction.ip()) || instruction.is_invalid() {
                self.registers = [None; 16];
            }
            if instruction.is_invalid() {
                continue;
            }
            let offsets = decoder.get_constant_offsets(&instruction);
            let field = (instruction.ip()).wrapping_add(offsets.immediate_offset() as u64);
            if is_near_branch(&instruction) {
                self.branch(&instruction, field);
                continue;
            }
            let is_symbol = offsets.has_immediate() && self.section.reloc_at(field).is_some();
            self.plain(&instruction, &mut factory, is_symbol);
        }
    }

    fn branch(&mut self, instruction: &Instruction, field: u64) {
        let is_call = instruction.mnemonic() == Mnemonic::Call;
        if let Some(callee) = self.callee(instruction, field) {
            let of = |register: Register| self.registers[register.number()];
            self.function.calls.push(Call {
                callee,
                arguments: ARGUMENTS.map(|register| Some(of(register)?.0)),
                sources: ARGUMENTS.map(|register| of(register)?.1),
            });
        }
        if is_call || instruction.mnemonic() == Mnemonic::Jmp {
            self.registers = [None; 16];
        }
    }

    /// The function that a branch leaves for, if it does.
    fn callee(&self, instruction: &Instruction, field: u64) -> Option<String> {
        let place = match self.section.reloc_at(field) {
            Some(reloc) => {
                let symbol = self.object.symbol(reloc.symbol);
                if !matches!(symbol.kind, SymbolKind::Section) {
                    return Some(symbol.name.clone());
                }
                let offset = symbol
                    .value
                    .wrapping_add_signed(reloc.addend)
                    .wrapping_add(4);
                Place {
                    section: symbol.section()?,
                    offset,
                }
            }
            None => Place {
                section: self.section.id,
                offset: instruction.near_branch_target(),
            },
        };
        let symbol = self.object.symbol_covering(place)?;
        (symbol.value == place.offset).then(|| symbol.name.clone())
    }

    fn plain(
        &mut self,
        instruction: &Instruction,
        factory: &mut InstructionInfoFactory,
        is_symbol: bool,
    ) {
        let immediate = immediate(instruction).filter(|_| !is_symbol);
        self.copied(instruction);
        let info = factory.info(instruction);
        let moves_stack = info
            .used_registers()
            .iter()
            .any(|used| used.register().full_register() == Register::RSP && writes(used.access()));
        let source = immediate
            .filter(|value| *value >= MIN_CONSTANT && !moves_stack)
            .map(|value| {
                self.function.constants.push(Constant {
                    value,
                    is_explained: false,
                });
                self.function.constants.len() - 1
            });
        for used in info
            .used_registers()
            .iter()
            .filter(|used| writes(used.access()))
        {
            let register = used.register().full_register();
            if register.is_gpr() {
                self.registers[register.number()] = None;
            }
        }
        for memory in info
            .used_memory()
            .iter()
            .filter(|used| writes(used.access()))
        {
            let base = memory.base().full_register();
            if matches!(base, Register::RSP | Register::RIP | Register::None) {
                continue;
            }
            self.function.stores.push(Store {
                displacement: memory.displacement(),
                bytes: memory.memory_size().size() as u64,
                is_zero: immediate == Some(0) && instruction.mnemonic() == Mnemonic::Mov,
            });
        }
        if instruction.op_count() == 2 && instruction.op0_kind() == OpKind::Register {
            let register = instruction.op0_register();
            let zeroed = instruction.mnemonic() == Mnemonic::Xor
                && instruction.op1_kind() == OpKind::Register
                && instruction.op1_register() == register;
            let known = match instruction.code() {
                _ if zeroed => Some((0, None)),
                Op::Mov_r32_imm32 | Op::Mov_r64_imm64 | Op::Mov_rm64_imm32 | Op::Mov_rm32_imm32 => {
                    immediate.map(|value| (value, source))
                }
                _ => None,
            };
            let full = register.full_register();
            if let Some(known) = known.filter(|_| full.is_gpr()) {
                self.registers[full.number()] = Some(known);
            }
        }
    }
}

impl Run<'_> {
    /// `rep movs` of a known number of bytes uses that number.
    fn copied(&mut self, instruction: &Instruction) {
        let unit = match instruction.mnemonic() {
            Mnemonic::Movsb => 1,
            Mnemonic::Movsw => 2,
            Mnemonic::Movsd => 4,
            Mnemonic::Movsq => 8,
            _ => return,
        };
        let count = self.registers[Register::RCX.number()];
        if let Some((count, _)) = count.filter(|_| instruction.has_rep_prefix()) {
            self.function.constants.push(Constant {
                value: count.saturating_mul(unit),
                is_explained: false,
            });
        }
    }
}

fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// The number in an instruction, as the register would hold it.
fn immediate(instruction: &Instruction) -> Option<u64> {
    let last = instruction.op_count().checked_sub(1)?;
    (0..=last)
        .rev()
        .find_map(|index| instruction.try_immediate(index).ok())
}
