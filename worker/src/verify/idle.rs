//! Modules whose init wants hardware that a guest does not have.

use object::LittleEndian as Le;
use object::elf::{FileHeader64, R_X86_64_NONE};
use object::read::elf::{FileHeader, Rela, SectionHeader, Sym};
use std::mem::size_of;

/// Where the loader takes a module's init and exit from.
const THIS_MODULE: &[u8] = b".gnu.linkonce.this_module";
/// What it takes.
const ENTRIES: [&[u8]; 2] = [b"init_module", b"cleanup_module"];

/// The end of a signed module's file.
const SIGNED: &[u8] = b"~Module signature appended~\n";

/// The module with nothing of it to be run at load: code and data come into
/// place as ever, byte for byte, but no device is looked for. Its init and exit
/// are made empty relocations of `struct module`, which the kernel takes for a
/// module without them (do_init_module() in kernel/module/main.c).
pub(super) fn without_init(module: &[u8]) -> object::read::Result<Vec<u8>> {
    let header = FileHeader64::<Le>::parse(module)?;
    let sections = header.sections(Le, module)?;
    let symbols = sections.symbols(Le, module, object::elf::SHT_SYMTAB)?;
    let mut idle = module.to_vec();
    for section in sections.iter() {
        let Some((relas, _)) = section.rela(Le, module)? else {
            continue;
        };
        let target = sections.section(section.info_link(Le))?;
        if sections.section_name(Le, target)? != THIS_MODULE {
            continue;
        }
        for (index, rela) in relas.iter().enumerate() {
            let Some(symbol) = rela.symbol(Le, false) else {
                continue;
            };
            let name = symbols.symbol(symbol)?.name(Le, symbols.strings())?;
            if !ENTRIES.contains(&name) {
                continue;
            }
            let entry = size_of::<object::elf::Rela64<Le>>();
            // The type is the lower half of r_info, which follows r_offset.
            let at = section.sh_offset(Le) + (index * entry) as u64 + 8;
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            if let Some(kind) = idle.get_mut(at..at.saturating_add(4)) {
                kind.copy_from_slice(&R_X86_64_NONE.0.to_le_bytes());
            }
        }
    }
    // It no longer holds, and a wrong signature is worse than none.
    if idle.ends_with(SIGNED) {
        idle.truncate(idle.len() - SIGNED.len());
    }
    Ok(idle)
}
