//! The few instructions whose length the tables leave to be found out.

use crate::elf::Section;

/// endbr64: where an indirect branch may land.
pub const ENDBR: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// Whether an indirect branch may land at an offset of a section.
pub fn begins_with_endbr(section: &Section, offset: u64) -> bool {
    section.bytes_in(offset, offset.saturating_add(ENDBR.len() as u64)) == Some(&ENDBR[..])
}

/// A general-purpose register by its hardware number, 0 (rax) to 15 (r15).
pub type Register = u8;

/// The register whose thunk this symbol is: `__x86_indirect_thunk_REG`, also
/// the `_array`-less call and jump variants.
pub fn thunk_register(symbol: &str) -> Option<Register> {
    const NAMES: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    let name = [
        "__x86_indirect_call_thunk_",
        "__x86_indirect_jump_thunk_",
        "__x86_indirect_thunk_",
    ]
    .iter()
    .find_map(|prefix| symbol.strip_prefix(prefix))?;
    let index = NAMES.iter().position(|n| *n == name)?;
    u8::try_from(index).ok()
}

/// Length in bytes of the near call, jump or conditional jump at the start of
/// `code`, an optional cs prefix included.
pub fn retpoline_len(code: &[u8]) -> Option<u64> {
    let (prefix, rest) = match code {
        [0x2e, rest @ ..] => (1, rest),
        _ => (0, code),
    };
    match rest {
        [0xe8 | 0xe9, ..] => Some(prefix + 5),
        [0x0f, 0x80..=0x8f, ..] => Some(prefix + 6),
        _ => None,
    }
}

/// Length in bytes of a jump label's NOP or jump at the start of `code`.
pub fn jump_label_len(code: &[u8]) -> Option<u64> {
    match code {
        [0xeb, ..] | [0x66, 0x90, ..] => Some(2),
        [0xe9, ..] | [0x0f, 0x1f, 0x44, 0x00, 0x00, ..] => Some(5),
        _ => None,
    }
}
