#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::testing::{assemble, compile};

const C: &str = r#"
    extern int other(const char *, double *);
    static int counter;
    static __attribute__((noinline)) int local(int x) { return counter += x; }
    int global(int x) { return local(x) + other("text", 0); }
    __attribute__((weak)) int overridable(void) { return 3; }
"#;

#[test]
fn symbols_sections_and_relocations_come_out() {
    let object = Object::parse(&compile(C, &["-ffunction-sections"])).unwrap();
    let section = object.section_named(".text.global").unwrap();
    assert_eq!(section.kind, SectionKind::Text);
    assert!(
        section
            .relocs
            .iter()
            .any(|r| object.symbol(r.symbol).name == "other")
    );
    assert!(section.relocs.windows(2).all(|w| w[0].offset < w[1].offset));
    let global = object.symbols.iter().find(|s| s.name == "global").unwrap();
    assert!(global.is_function());
    let middle = Place {
        section: section.id,
        offset: global.size / 2,
    };
    assert_eq!(object.symbol_covering(middle).unwrap().name, "global");
    assert_eq!(
        object
            .symbol_covering(Place {
                section: section.id,
                offset: section.size
            })
            .map(|s| &s.name),
        None
    );
    let weak = object
        .symbols
        .iter()
        .find(|s| s.name == "overridable")
        .unwrap();
    assert_eq!(weak.binding, Binding::Weak);
}

#[test]
fn an_unknown_loaded_section_is_named() {
    let bytes = assemble(".section .mystery, \"a\"\n.long 1\n");
    let error = Object::parse(&bytes).unwrap_err().to_string();
    assert!(error.contains(".mystery"), "{error}");
}

#[test]
fn an_unknown_relocation_is_named() {
    let bytes = assemble(".text\nmovq x@GOTPCREL(%rip), %rax\n");
    let error = Object::parse(&bytes).unwrap_err().to_string();
    assert!(error.contains(".text+0x3"), "{error}");
}

#[test]
fn common_symbols_are_refused() {
    let error = Object::parse(&assemble(".comm shared, 8\n"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("shared"), "{error}");
}

#[test]
fn hostile_bytes_never_panic() {
    let good = compile(C, &["-ffunction-sections"]);
    for len in 0..good.len() {
        let _ = Object::parse(&good[..len]);
    }
    for at in 0..good.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= value;
            if let Ok(object) = Object::parse(&bad) {
                let _ = crate::sites::read_all(&object);
            }
        }
    }
}
