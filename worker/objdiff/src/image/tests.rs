#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::records::{
    EXTERNAL, FUNCTION_ENDBR, FUNCTION_FENTRY, MERGED, NONE, Role, SYMBOL_WEAK, SiteKind,
};
use super::*;
use crate::elf::Object;
use crate::testing::{assemble, compile};

fn image_of(source: &str) -> ImageBuilder {
    let mut builder = ImageBuilder::new("vmlinux");
    builder
        .add_unit("unit.c", &Object::parse(&assemble(source)).unwrap())
        .unwrap();
    builder
}

fn refusal(source: &str) -> String {
    let mut builder = ImageBuilder::new("vmlinux");
    let object = Object::parse(&assemble(source)).unwrap();
    builder.add_unit("unit.c", &object).unwrap_err().to_string()
}

const SITES: &str = r#"
    .text
    .type f, @function
    .globl f
f:  call __fentry__
1:  call *pv_ops+8(%rip)
2:  lock incl counter(%rip)
3:  jmp __x86_return_thunk
    .size f, . - f
    .section .text.unlikely, "ax"
    .type f.cold, @function
f.cold: nop
    .size f.cold, . - f.cold
    .section .altinstr_replacement, "ax"
7:  sti
8:  call other
9:
    .section .altinstructions, "a"
    .long 1b - .
    .long 7b - .
    .word 1
    .byte 6, 1
    .long 1b - .
    .long 8b - .
    .word 2
    .byte 7, 5
    .section .parainstructions, "a"
    .quad 1b
    .byte 9, 6
    .short 0
    .balign 8
    .section .smp_locks, "a"
    .long 2b - .
    .section .return_sites, "a"
    .long 3b - .
    .section __mcount_loc, "a"
    .quad f
    .bss
counter: .long 0
"#;

#[test]
fn sites_ascend_and_alternatives_come_before_paravirt() {
    let builder = image_of(SITES);
    let image = builder.image();
    let sites: Vec<_> = image
        .sites
        .iter()
        .map(|s| (s.offset, s.kind, s.len))
        .collect();
    assert_eq!(
        sites,
        [
            (0, SiteKind::Fentry, 5),
            (5, SiteKind::Alternative, 7),
            (5, SiteKind::Paravirt, 6),
            (11, SiteKind::SmpLock, 1),
            (18, SiteKind::Return, 5),
        ]
    );
    assert_eq!((image.sites[1].a, image.sites[1].b), (0, 2));
    assert_eq!(image.sites[2].a, 9);
    let call = &image.variants[1];
    assert_eq!(
        (call.len, call.offset, call.feature, call.relocs.count),
        (5, 1, 2, 1)
    );
    let reloc = call.relocs.of(&image.relocs)[0];
    assert_eq!((reloc.offset, reloc.addend), (1, -4));
    assert_eq!(
        image.name(image.symbols[reloc.symbol as usize].name),
        "other"
    );
}

#[test]
fn an_endbr_at_a_functions_entry_may_be_sealed() {
    let source = SITES
        .replace(
            "f:  call __fentry__",
            "    .skip 16, 0x90\nf:  endbr64\n0:  call __fentry__",
        )
        .replace(".quad f", ".quad 0b");
    let builder = image_of(&source);
    let image = builder.image();
    let first: Vec<_> = image
        .sites
        .iter()
        .take(2)
        .map(|s| (s.offset, s.kind, s.len))
        .collect();
    assert_eq!(first, [(16, SiteKind::Endbr, 4), (20, SiteKind::Fentry, 5)]);
    let f = builder.function(UnitId(0), "f").unwrap();
    let f = &image.functions[f as usize];
    assert_eq!((f.offset, f.flags), (16, FUNCTION_ENDBR | FUNCTION_FENTRY));
}

#[test]
fn a_trampoline_that_calls_nothing_yet_is_no_mere_return() {
    let builder = image_of(
        r#"
        .section .static_call.text, "ax"
        .type __SCT__idle, @function
    __SCT__idle:
    1:  jmp __x86_return_thunk
        .byte 0x0f, 0xb9, 0xcc
        .size __SCT__idle, . - __SCT__idle
        .section .return_sites, "a"
        .long 1b - .
    "#,
    );
    let sites = &builder.image().sites;
    let found: Vec<_> = sites.iter().map(|s| (s.offset, s.kind, s.len)).collect();
    assert_eq!(found, [(0, SiteKind::Trampoline, 8)]);
}

#[test]
fn cold_parts_name_their_function() {
    let builder = image_of(SITES);
    let unit = UnitId(0);
    let (f, cold) = (
        builder.function(unit, "f").unwrap(),
        builder.function(unit, "f.cold").unwrap(),
    );
    let functions = &builder.image().functions;
    assert_eq!(functions[cold as usize].parent, f);
    assert_eq!(functions[f as usize].parent, NONE);
    assert_eq!(functions[f as usize].flags, FUNCTION_FENTRY);
    assert_eq!(functions[cold as usize].flags, 0);
}

#[test]
fn strings_are_compared_by_content() {
    let object = compile(
        r#"extern void take(const char *); void f(void) { take("one"); take("two"); }"#,
        &[],
    );
    let mut builder = ImageBuilder::new("vmlinux");
    builder
        .add_unit("unit.c", &Object::parse(&object).unwrap())
        .unwrap();
    let image = builder.image();
    let pieces: Vec<_> = image
        .symbols
        .iter()
        .filter(|s| s.section == MERGED)
        .map(|s| image.slice(s.value, s.size).to_vec())
        .collect();
    assert_eq!(pieces, [b"one\0".to_vec(), b"two\0".to_vec()]);
    let used = image
        .relocs
        .iter()
        .filter(|r| image.symbols[r.symbol as usize].section == MERGED);
    assert!(used.into_iter().all(|r| r.addend == 0 || r.addend == -4));
}

#[test]
fn wide_strings_are_whole_pieces_too() {
    let object = compile(
        r#"extern void take(const void *); void f(void) { take(u"ab"); take(u"cd"); }"#,
        &[],
    );
    let mut builder = ImageBuilder::new("vmlinux");
    builder
        .add_unit("unit.c", &Object::parse(&object).unwrap())
        .unwrap();
    let image = builder.image();
    let piece = image.symbols.iter().find(|s| s.section == MERGED).unwrap();
    assert_eq!(image.slice(piece.value, piece.size), b"a\0b\0\0\0");
}

#[test]
fn a_relative_reference_to_a_mergeable_section_is_refused() {
    let error = refusal(
        r#"
        .text
        .reloc ., R_X86_64_PC32, .rodata.str1.1
        .long 0
        .section .rodata.str1.1, "aMS", @progbits, 1
        .string "text"
        "#,
    );
    assert!(error.contains("mergeable"), "{error}");
}

#[test]
fn weak_definitions_are_external_but_matched() {
    let builder = image_of(".text\n.weak f\n.type f, @function\nf: nop\nnop\n.size f, . - f\n");
    let image = builder.image();
    let symbol = &image.symbols[builder.symbol(UnitId(0), "f").unwrap() as usize];
    assert_eq!(symbol.section, EXTERNAL);
    assert_ne!(symbol.flags & SYMBOL_WEAK, 0);
    assert_eq!(image.functions.len(), 1);
    assert_eq!(image.contents(&image.sections[0]), [0x90, 0x90]);
}

#[test]
fn an_external_symbol_becomes_the_later_unit_s_definition() {
    let mut builder = image_of(".text\n.globl f\nf: call g\n");
    let before = builder.symbol(UnitId(0), "g").unwrap();
    let other = ".text\n.globl g\n.type g, @function\ng: nop\n.size g, . - g\n";
    let unit = builder
        .add_unit("other.c", &Object::parse(&assemble(other)).unwrap())
        .unwrap();
    assert_eq!(builder.symbol(unit, "g"), Some(before));
    assert_eq!(builder.external(UnitId(0), "g"), before);
    assert_ne!(builder.image().symbols[before as usize].section, EXTERNAL);
    let late = builder.external(unit, "late");
    assert_eq!(builder.external(UnitId(0), "late"), late);
}

#[test]
fn init_code_is_not_matched() {
    let builder = image_of(".section .init.text, \"ax\"\nf: nop\n.text\ng: call f\n");
    let image = builder.image();
    let init = image
        .sections
        .iter()
        .find(|s| s.role == Role::Init)
        .unwrap();
    assert_eq!(init.bytes, NONE);
}

#[test]
fn the_header_and_every_table_lie_where_format_h_says() {
    let builder = image_of(SITES);
    let (sections, sites) = (builder.image().sections.len(), builder.image().sites.len());
    let bytes = builder.finish().unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(word(0), 0x484d_5352);
    assert_eq!((word(4), word(8)), (3, bytes.len()));
    let sizes = [8, 48, 24, 24, 24, 16, 32, 1, 1];
    let mut end = 88;
    for (index, size) in sizes.into_iter().enumerate() {
        let (offset, count) = (word(16 + index * 8), word(20 + index * 8));
        assert_eq!(offset % 8, 0);
        assert!(offset >= end && offset - end < 8);
        end = offset + count * size;
    }
    assert!(end <= bytes.len());
    assert_eq!((word(28), word(60)), (sections, sites));
}

#[test]
fn sites_that_lie_about_their_code_are_refused() {
    let error = refusal(".text\nf: nop\n.section .smp_locks, \"a\"\n.long f - .\n");
    assert!(error.contains("lock prefix"), "{error}");
    let error =
        refusal(".text\nf: jmp 1f\n1: nop\n.section .retpoline_sites, \"a\"\n.long f - .\n");
    assert!(
        error.contains("branch") || error.contains("thunk"),
        "{error}"
    );
}

#[test]
fn hostile_objects_never_panic() {
    let good = assemble(SITES);
    for at in 0..good.len() {
        for value in [0x01, 0x04, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= value;
            if let Ok(object) = Object::parse(&bad) {
                let mut builder = ImageBuilder::new("vmlinux");
                if builder.add_unit("unit.c", &object).is_ok() {
                    builder.finish().unwrap();
                }
            }
        }
    }
}
