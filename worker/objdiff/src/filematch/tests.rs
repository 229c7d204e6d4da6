#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::elf::Object;
use crate::image::ImageBuilder;
use crate::image::records::{EXTERNAL, Role};
use crate::testing::{compile, link};

const A: &str = r#"
    extern int b_value; extern void b_use(const char *);
    static int counter;
    static __attribute__((noinline)) int step(int x) { return counter += x * 77 + 0x123456; }
    __attribute__((weak)) int choice(int x) { return x * 3 + 0x4444; }
    int a_main(int x) { b_use("from a"); return step(x) + choice(x) + b_value; }
"#;
const B: &str = r#"
    int b_value = 5; int total;
    int choice(int x) { return x * 9 + 0x5555; }
    void b_use(const char *s) { total += s[0] + 0x77777; }
"#;
/// Two units with a byte-identical function, told apart by their neighbours.
const TWIN: &str = r#"
    static __attribute__((noinline, section(".ref.text"))) int twin(int x) { return x * 1234567 + 89; }
    int NAME(int x) { return twin(x) + NUMBER; }
"#;

fn objects(sources: &[&str]) -> Vec<Vec<u8>> {
    sources.iter().map(|s| compile(s, &[])).collect()
}

fn image(objects: &[Vec<u8>]) -> Image {
    let mut builder = ImageBuilder::new("vmlinux");
    for (index, object) in objects.iter().enumerate() {
        builder
            .add_unit(&format!("{index}.c"), &Object::parse(object).unwrap())
            .unwrap();
    }
    builder.image().clone()
}

fn kernel(objects: &[Vec<u8>]) -> Vec<u8> {
    let all: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    let flags = [
        "-static",
        "-e",
        "0",
        "-Ttext-segment=0xffffffff81000000",
        "-z",
        "max-page-size=4096",
    ];
    link(&all, &flags)
}

fn status<'a>(report: &'a MatchReport, name: &str) -> &'a Status {
    let mut all = report.units.iter().flat_map(|u| &u.functions);
    &all.find(|f| f.name == name).unwrap().status
}

#[test]
fn every_function_is_found_and_weak_ones_seen_overridden() {
    let objects = objects(&[A, B]);
    let file = KernelFile::parse(&kernel(&objects)).unwrap();
    let report = match_file(&image(&objects[..1]), &file);
    assert!(
        matches!(status(&report, "step"), Status::Exact { .. }),
        "{report}"
    );
    assert!(
        matches!(status(&report, "a_main"), Status::Exact { .. }),
        "{report}"
    );
    assert!(
        matches!(status(&report, "choice"), Status::OverriddenWeak { .. }),
        "{report}"
    );
    assert!(report.summary.is_clean());
}

#[test]
fn every_flipped_bit_of_matched_code_is_noticed() {
    let objects = objects(&[A, B]);
    let linked = kernel(&objects);
    let image = image(&objects[..1]);
    let text = image
        .sections
        .iter()
        .find(|s| image.name(s.name) == ".text")
        .unwrap();
    let file = KernelFile::parse(&linked).unwrap();
    let report = match_file(&image, &file);
    let Status::Exact { address } = report.units[0].sections[0].status else {
        panic!("{report}");
    };
    let region = file
        .code("")
        .into_iter()
        .find(|r| r.name == ".text")
        .unwrap();
    let start = linked
        .windows(region.bytes.len())
        .position(|w| w == region.bytes)
        .unwrap();
    let at = start + (address - region.address) as usize;
    for byte in at..at + text.size as usize {
        for bit in 0..8 {
            let mut bad = linked.clone();
            bad[byte] ^= 1 << bit;
            let report = match_file(&image, &KernelFile::parse(&bad).unwrap());
            let offset = byte - at;
            // What only one relocation refers to may lie anywhere.
            let external = text.relocs.of(&image.relocs).iter().any(|r| {
                let symbol = &image.symbols[r.symbol as usize];
                let role = image.sections.get(symbol.section as usize).map(|s| s.role);
                let field = r.offset as usize..r.offset as usize + 4;
                field.contains(&offset) && (symbol.section == EXTERNAL || role == Some(Role::Data))
            });
            assert!(
                external || !report.summary.is_clean(),
                "byte {offset:#x} bit {bit}: {report}"
            );
        }
    }
}

#[test]
fn twins_are_told_apart_by_who_refers_to_them() {
    let first = TWIN.replace("NAME", "first").replace("NUMBER", "0x1111");
    let second = TWIN.replace("NAME", "second").replace("NUMBER", "0x2222");
    let objects = objects(&[&first, &second]);
    let file = KernelFile::parse(&kernel(&objects)).unwrap();
    let addresses: Vec<u64> = objects
        .iter()
        .map(|object| {
            let report = match_file(&image(std::slice::from_ref(object)), &file);
            let Status::Exact { address } = status(&report, "twin") else {
                panic!("{report}");
            };
            *address
        })
        .collect();
    assert_ne!(addresses[0], addresses[1]);
}

#[test]
fn twins_that_nothing_tells_apart_are_ambiguous() {
    let twin = "int NAME(int x) { return x * 1234567 + 89; }";
    let objects = objects(&[&twin.replace("NAME", "one"), &twin.replace("NAME", "two")]);
    let file = KernelFile::parse(&kernel(&objects)).unwrap();
    let report = match_file(&image(&objects[..1]), &file);
    assert_eq!(*status(&report, "one"), Status::Ambiguous { candidates: 2 });
    assert!(!report.summary.is_clean());
}

#[test]
fn exported_names_tell_twins_apart() {
    let twin = "int NAME(int x) { return x * 1234567 + 89; }";
    let export = r#"
        extern int one(int), two(int);
        asm(".section __ksymtab_strings, \"a\"\n1: .string \"one\"\n2: .string \"two\"\n"
            ".section __ksymtab, \"a\"\n.long one - ., 1b - ., 0\n.long two - ., 2b - ., 0\n");
    "#;
    let objects = objects(&[
        &twin.replace("NAME", "one"),
        &twin.replace("NAME", "two"),
        export,
    ]);
    let file = KernelFile::parse(&kernel(&objects)).unwrap();
    let address = |object: &[Vec<u8>], name| {
        let report = match_file(&image(object), &file);
        let Status::Exact { address } = status(&report, name) else {
            panic!("{report}");
        };
        *address
    };
    assert_ne!(
        address(&objects[..1], "one"),
        address(&objects[1..2], "two")
    );
}

#[test]
fn modules_match_by_their_own_relocations() {
    let objects = objects(&[A, B]);
    let all: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    let module = link(&all, &["-r"]);
    let report = match_file(&image(&objects), &ModuleFile::parse(&module).unwrap());
    assert!(report.summary.is_clean(), "{report}");
    let other = compile(&A.replace("b_use", "b_abuse"), &[]);
    let report = match_file(&image(&[other]), &ModuleFile::parse(&module).unwrap());
    assert!(report.summary.functions > 0);
    let report = match_file(
        &image(&[compile(&A.replace("x * 77", "x * 79"), &[])]),
        &ModuleFile::parse(&module).unwrap(),
    );
    assert!(
        matches!(status(&report, "step"), Status::Mismatch { .. }),
        "{report}"
    );
    assert!(
        matches!(status(&report, "a_main"), Status::Alone { .. }),
        "{report}"
    );
}

#[test]
fn hostile_kernel_files_never_panic() {
    let objects = objects(&[A, B]);
    let good = kernel(&objects);
    let image = image(&objects[..1]);
    for len in (0..good.len()).step_by(37) {
        let _ = KernelFile::parse(&good[..len]);
    }
    let headers = good.len().saturating_sub(64 * 16)..good.len();
    for at in (0..64).chain(headers) {
        for value in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= value;
            if let Ok(file) = KernelFile::parse(&bad) {
                let _ = match_file(&image, &file);
            }
        }
    }
}
