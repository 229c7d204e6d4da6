#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::testing::assemble;

const ALTERNATIVE: &str = r#"
    .text
    .globl f
    .type f, @function
f:
    call __fentry__
661: nop
    nop
    nop
662:
    jmp __x86_return_thunk
    .size f, . - f
    .section .altinstr_replacement, "ax"
663: nop
    ud2
664:
    .section .altinstructions, "a"
    .long 661b - .
    .long 663b - .
    .word 0x8012
    .byte 662b - 661b
    .byte 664b - 663b
    .section __mcount_loc, "a"
    .quad f
    .section .return_sites, "a"
    .long 662b - .
"#;

#[test]
fn entries_name_the_code_they_describe() {
    let object = Object::parse(&assemble(ALTERNATIVE)).unwrap();
    let entries = read_all(&object).unwrap();
    let find = |kind| entries.iter().find(|e| e.kind == kind).unwrap();
    let alternative = find(SectionKind::Altinstructions);
    assert_eq!(alternative.code.offset, 5);
    assert_eq!(alternative.range, 0..12);
    assert_eq!(alternative.relocs, 0..2);
    let Detail::Alternative {
        replacement: Some(at),
        feature,
        original_len,
        replacement_len,
    } = alternative.detail
    else {
        panic!("{alternative:?}");
    };
    assert_eq!(
        (at.offset, feature, original_len, replacement_len),
        (0, 0x8012, 3, 3)
    );
    assert_eq!(find(SectionKind::McountLoc).code.offset, 0);
    assert_eq!(find(SectionKind::ReturnSites).code.offset, 8);
}

#[test]
fn newer_kernels_have_flags_beside_an_alternatives_feature() {
    let entry = "    .long 661b - .\n    .long 663b - .\n    .word 0x8012\n    .byte 662b - 661b\n    .byte 664b - 663b\n";
    let long = entry.replace(".word 0x8012", ".long 0x10012");
    for entries in 1..=3 {
        let source = ALTERNATIVE.replace(entry, &long.repeat(entries));
        let object = Object::parse(&assemble(&source)).unwrap();
        let found = read_all(&object).unwrap();
        let found: Vec<&Entry> = found
            .iter()
            .filter(|e| e.kind == SectionKind::Altinstructions)
            .collect();
        assert_eq!(found.len(), entries);
        for (index, entry) in found.iter().enumerate() {
            let start = index as u64 * 14;
            assert_eq!(entry.range, start..start + 14);
            let Detail::Alternative {
                feature,
                original_len,
                replacement_len,
                ..
            } = entry.detail
            else {
                panic!("{entry:?}");
            };
            assert_eq!((feature, original_len, replacement_len), (0x1_0012, 3, 3));
        }
    }
}

#[test]
fn a_constant_of_an_instruction_names_its_variable() {
    let source = "
        .text
        .type f, @function
    f:  movabs $0x0123456789abcdef, %rax
    1:  shr $12, %ecx
    2:  ret
        .size f, . - f
        .section runtime_ptr_limit, \"a\"
        .long 1b - 8 - .
        .section runtime_shift_bits, \"a\"
        .long 2b - 1 - .
    ";
    let object = Object::parse(&assemble(source)).unwrap();
    let found: Vec<(u64, Detail)> = read_all(&object)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.code.offset, entry.detail))
        .collect();
    let of = |variable: &str, len| Detail::RuntimeConst {
        variable: variable.to_owned(),
        len,
    };
    assert_eq!(found, [(2, of("limit", 8)), (12, of("bits", 1))]);
}

#[test]
fn a_torn_table_is_refused() {
    let object = Object::parse(&assemble(&format!("{ALTERNATIVE}\n.byte 1\n"))).unwrap();
    assert!(matches!(
        read_all(&object),
        Err(SiteError::Size { entry: 4, .. })
    ));
}

#[test]
fn an_entry_without_relocation_is_refused() {
    let object = Object::parse(&assemble(&format!("{ALTERNATIVE}\n.long 1\n"))).unwrap();
    assert!(matches!(
        read_all(&object),
        Err(SiteError::Entry { offset: 4, .. })
    ));
}

#[test]
fn thunks_name_their_register() {
    assert_eq!(thunk_register("__x86_indirect_thunk_rax"), Some(0));
    assert_eq!(thunk_register("__x86_indirect_jump_thunk_r15"), Some(15));
    assert_eq!(thunk_register("__x86_indirect_thunk_array"), None);
    assert_eq!(thunk_register("__x86_return_thunk"), None);
}

#[test]
fn retpolines_may_have_a_cs_prefix() {
    assert_eq!(retpoline_len(&[0xe8, 0, 0, 0, 0]), Some(5));
    assert_eq!(retpoline_len(&[0x2e, 0xe9, 0, 0, 0, 0]), Some(6));
    assert_eq!(retpoline_len(&[0x2e, 0x0f, 0x85, 0, 0, 0, 0]), Some(7));
    assert_eq!(retpoline_len(&[0x90]), None);
}
