//! What deltas of small units contain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Delta, UnitInput, write_delta, write_match_only};
use crate::elf::{Object, RelocKind, Section};
use crate::plan::Outcome;
use crate::symvers::Symvers;
use crate::testing::compile;

pub(super) const FLAGS: [&str; 3] = ["-pg", "-mfentry", "-mrecord-mcount"];
pub(super) const SPLIT: [&str; 5] = [
    "-ffunction-sections",
    "-fdata-sections",
    "-pg",
    "-mfentry",
    "-mrecord-mcount",
];
pub(super) const HEAD: &str = "#define noinline __attribute__((noinline))\n\
    extern int sink(const void *); extern int take(int); extern int hidden(int);\n";

pub(super) fn symvers() -> Symvers {
    Symvers::parse(
        "0x1\t__fentry__\tvmlinux\tEXPORT_SYMBOL\t\n0x1\ttake\tvmlinux\tEXPORT_SYMBOL\t\n\
         0x1\tsink\tvmlinux\tEXPORT_SYMBOL_GPL\t\n0x1\tg\tvmlinux\tEXPORT_SYMBOL\t\n",
    )
    .unwrap()
}

fn delta_of(units: &[(&str, &str)]) -> Delta {
    let objects: Vec<_> = units
        .iter()
        .enumerate()
        .map(|(index, (pre, post))| {
            let (pre, post) = (format!("{HEAD}{pre}"), format!("{HEAD}{post}"));
            (
                format!("unit{index}.c"),
                compile(&pre, &FLAGS),
                compile(&pre, &SPLIT),
                compile(&post, &SPLIT),
            )
        })
        .collect();
    let inputs: Vec<_> = objects
        .iter()
        .map(|(name, reference, pre, post)| UnitInput {
            touched: None,
            declared: &[],
            name,
            reference,
            pre,
            post,
        })
        .collect();
    write_delta("rsp_test", "vmlinux", &inputs, &symvers()).unwrap()
}

/// A delta read back, with its late relocations by the image's names.
pub(super) struct Read {
    pub(super) file: Object,
    names: Vec<String>,
}

pub(super) fn read(delta: &Delta) -> Read {
    assert_eq!(delta.plan.outcome(), Outcome::Replace, "{:?}", delta.plan);
    let file = Object::parse(delta.bytes.as_ref().unwrap()).unwrap();
    let image = file
        .section_named(".init.resplice.match")
        .unwrap()
        .bytes
        .clone();
    let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    // struct resplice_match: 16 bytes, then tables of (offset, count).
    let table = |index: usize| (word(16 + 8 * index), word(20 + 8 * index));
    let (symbols, count) = table(2);
    let (strings, _) = table(7);
    let name = |at: usize| {
        let bytes = &image[strings + at..];
        let end = bytes.iter().position(|b| *b == 0).unwrap();
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    };
    let names = (0..count).map(|i| name(word(symbols + 24 * i))).collect();
    Read { file, names }
}

impl Read {
    /// Names of late relocations whose place lies in sections of that name.
    fn late_in(&self, section: &str) -> Vec<&str> {
        let late = self.file.section_named(".init.resplice.late").unwrap();
        (0..late.bytes.len() / 32)
            .filter(|i| {
                let place = self
                    .file
                    .reloc_place(late.reloc_at(32 * *i as u64).unwrap())
                    .unwrap();
                self.file.section(place.section).name == section
            })
            .map(|i| {
                let at = 32 * i + 16;
                let symbol = u32::from_le_bytes(late.bytes[at..at + 4].try_into().unwrap());
                self.names[symbol as usize].as_str()
            })
            .collect()
    }

    fn function(&self, name: &str) -> &Section {
        let symbol = self.file.symbols.iter().find(|s| s.name == name).unwrap();
        self.file.section(symbol.section().unwrap())
    }

    /// Names of what a function's kept relocations refer to.
    pub(super) fn refers(&self, name: &str) -> Vec<&str> {
        self.function(name)
            .relocs
            .iter()
            .map(|r| {
                let symbol = self.file.symbol(r.symbol);
                let section = symbol.section();
                let named = section.and_then(|s| self.file.symbols_in(s).next());
                named.map_or(symbol.name.as_str(), |s| s.name.as_str())
            })
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        self.file
            .symbols
            .iter()
            .any(|s| s.name == name && s.section().is_some())
    }
}

fn codes(delta: &Delta) -> Vec<(&str, &str)> {
    delta
        .plan
        .refused()
        .map(|r| (r.code.as_str(), r.object.as_str()))
        .collect()
}

#[test]
fn exports_are_imported_and_the_rest_is_late() {
    let delta = delta_of(&[(
        "static int count; noinline int same(int a) { return take(a); } \
         int f(int a) { return take(a) + hidden(a) + same(a) + count; } int s(void) { return count++; }",
        "static int count; noinline int same(int a) { return take(a); } \
         int f(int a) { return take(a) + hidden(a) + same(a) + count + 1; } int s(void) { return count++; }",
    )]);
    let read = read(&delta);
    assert_eq!(read.refers("f.rsp"), ["__fentry__", "take"]);
    let mut late = read.late_in(".text");
    late.sort_unstable();
    assert_eq!(late, ["count", "hidden", "same"]);
    assert!(!read.has("count") && !read.has("same"));
}

#[test]
fn replaced_functions_call_each_other_directly() {
    let delta = delta_of(&[(
        "noinline int g(int a) { return take(a); } int f(int a) { return g(a) + 1; }",
        "noinline int g(int a) { return take(a + 1); } int f(int a) { return g(a) + 2; }",
    )]);
    let read = read(&delta);
    assert_eq!(read.refers("f.rsp"), ["__fentry__", "g.rsp"]);
    assert!(read.late_in(".text").is_empty());
}

#[test]
fn the_address_of_a_replaced_function_is_the_running_one() {
    let delta = delta_of(&[(
        "noinline int g(int a) { return take(a); } int f(int a) { return sink(g) + a; }",
        "noinline int g(int a) { return take(a + 1); } int f(int a) { return sink(g) - a; }",
    )]);
    let read = read(&delta);
    assert_eq!(read.refers("f.rsp"), ["__fentry__", "sink"]);
    assert_eq!(read.late_in(".text"), ["g"]);
}

#[test]
fn new_data_points_to_running_and_added_functions() {
    let delta = delta_of(&[(
        "noinline int g(int a) { return take(a); } int f(int a) { return take(a); }",
        "noinline int g(int a) { return take(a + 1); } static int added(int a) { return take(a * 5); } \
         static int (*const ops[])(int) = { g, added }; \
         int f(int a) { return sink(ops); }",
    )]);
    let read = read(&delta);
    assert_eq!(read.late_in(".rodata"), ["g"]);
    assert!(read.has("added") && read.has("ops"));
    let names: Vec<_> = delta.plan.units[0]
        .data_added
        .iter()
        .map(|d| d.name.as_str())
        .collect();
    assert_eq!(names, ["ops"]);
}

#[test]
fn new_strings_and_variables_come_along() {
    let delta = delta_of(&[(
        "int f(int a) { return take(a); }",
        "static int seen; static int table[4] = { 1, 2, 3, 4 }; \
         int f(int a) { seen++; table[a & 3]++; return sink(\"hello\") + sink(&seen); }",
    )]);
    let read = read(&delta);
    assert!(read.has("seen") && read.has("table"));
    assert!(
        read.file
            .sections
            .iter()
            .any(|s| s.name == ".rodata" && s.bytes == b"hello\0")
    );
    let bss = read.function("seen");
    assert_eq!(
        (bss.name.as_str(), bss.size, bss.bytes.len()),
        (".bss", 4, 0)
    );
    assert!(read.late_in(".text").is_empty());
}

#[test]
fn a_static_local_is_the_running_one() {
    let delta = delta_of(&[(
        "int e(int a) { return take(a); } int f(int a) { static int n; return take(n += a); }",
        "int e(int a) { static int n; return take(n -= a); } int f(int a) { static int n; return take(n += a) + 1; }",
    )]);
    let read = read(&delta);
    assert_eq!(read.late_in(".text"), ["n.0", "n.0"]);
    let added: Vec<_> = delta.plan.units[0]
        .data_added
        .iter()
        .map(|d| d.size)
        .collect();
    assert_eq!(added, [4]);
}

#[test]
fn a_static_local_that_may_be_one_of_two_is_refused() {
    let delta = delta_of(&[(
        "int f(int a) { if (a) { static int n; return take(n++); } return 1; }",
        "int f(int a) { if (a) { static int n; return take(n++); } else { static int n; return take(n--); } }",
    )]);
    let found: Vec<_> = codes(&delta).into_iter().map(|(code, _)| code).collect();
    assert!(found.contains(&"ambiguous-static"), "{found:?}");
    assert!(delta.bytes.is_none());
}

#[test]
fn a_cold_part_goes_with_its_function() {
    let body = |n: i32| {
        format!(
            "extern void oops(int) __attribute__((cold)); \
             int f(int a, int b) {{ if (a > 3) {{ oops({n}); take(b); oops({n}); return -1; }} return take(a); }}"
        )
    };
    let delta = delta_of(&[(&body(1), &body(2))]);
    let read = read(&delta);
    assert_eq!(read.function("f.rsp.cold").name, ".text.unlikely");
    assert_eq!(delta.plan.replaced().count(), 1);
    assert!(read.refers("f.rsp").contains(&"f.rsp.cold"));
}

#[test]
fn tables_keep_only_entries_about_kept_code() {
    let delta = delta_of(&[(
        "int f(int a) { return take(a); } int g(int a) { return take(a) + 1; } int h(int a) { return take(-a); }",
        "int f(int a) { return take(a); } int g(int a) { return take(a) + 2; } int h(int a) { return take(-a); }",
    )]);
    let read = read(&delta);
    let mcount = read.file.section_named("__mcount_loc").unwrap();
    assert_eq!((mcount.size, mcount.relocs.len()), (8, 1));
    assert_eq!(mcount.relocs[0].kind, RelocKind::Abs64);
    assert!(!read.has("f") && !read.has("h"));
}

#[test]
fn a_replaced_function_of_another_unit_is_called_directly() {
    let delta = delta_of(&[
        (
            "int g(int a) { return take(a); }",
            "int fresh(int a) { return take(a * 3); } int g(int a) { return take(a + 1); }",
        ),
        (
            "extern int g(int); int f(int a) { return g(a); } int k(int a) { return take(a); }",
            "extern int g(int), fresh(int); int f(int a) { return g(a) + 1; } int k(int a) { return fresh(a); }",
        ),
    ]);
    let read = read(&delta);
    assert_eq!(read.refers("f.rsp"), ["__fentry__", "g.rsp"]);
    assert_eq!(read.refers("k.rsp"), ["__fentry__", "fresh"]);
    assert!(read.late_in(".text").is_empty());
    assert_eq!(delta.plan.replaced().count(), 3);
}

#[test]
fn an_unchanged_function_of_another_unit_is_late() {
    let delta = delta_of(&[
        (
            "int g(int a) { return take(a); }",
            "int g(int a) { return take(a); }",
        ),
        (
            "extern int g(int); int f(int a) { return g(a) * 2; }",
            "extern int g(int); int f(int a) { return g(a) * 2 + 1; }",
        ),
    ]);
    assert_eq!(read(&delta).late_in(".text"), ["g"]);
}

#[test]
fn calls_inside_an_unsplit_section_are_found_without_relocations() {
    let body = |more: &str| {
        format!(
            "#define sched __attribute__((section(\".sched.text\"), __noinline__))\n\
             static sched int first(int a) {{ {more} return take(a); }} \
             static sched int callee(int a) {{ return take(a) + 1; }} \
             sched int same(int a) {{ return callee(a) + first(a) + 1; }} \
             sched int f(int a) {{ {more} return callee(a) * 2 + first(a); }}"
        )
    };
    let delta = delta_of(&[(&body(""), &body("if (a > 7) sink(\"x\");"))]);
    let names: Vec<_> = delta.plan.replaced().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["first", "f"]);
    let read = read(&delta);
    assert_eq!(read.late_in(".sched.text"), ["callee"]);
    assert!(read.refers("f.rsp").contains(&"first.rsp"));
}

#[test]
fn late_places_are_empty() {
    let delta = delta_of(&[(
        "int f(int a) { return hidden(a); }",
        "int f(int a) { return hidden(a) + 1; }",
    )]);
    let read = read(&delta);
    let late = read.file.section_named(".init.resplice.late").unwrap();
    let place = read.file.reloc_place(late.reloc_at(0).unwrap()).unwrap();
    let bytes = read
        .file
        .section(place.section)
        .bytes_in(place.offset, place.offset + 4);
    assert_eq!(bytes, Some(&[0; 4][..]));
    assert_eq!(late.bytes.len(), 32);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let units = [(
        "int f(int a) { return hidden(a) + sink(\"a\"); }",
        "int f(int a) { return hidden(a) + sink(\"b\") + 1; }",
    )];
    assert_eq!(delta_of(&units).bytes, delta_of(&units).bytes);
}

#[test]
fn nothing_and_refused_give_no_object() {
    let same = "int f(int a) { return take(a); }";
    let nothing = delta_of(&[(same, same)]);
    assert_eq!(
        (nothing.plan.outcome(), nothing.bytes),
        (Outcome::Nothing, None)
    );
    let refused = delta_of(&[("int x = 1;", "int x = 2;")]);
    assert_eq!(
        (refused.plan.outcome(), refused.bytes),
        (Outcome::NeedsCode, None)
    );
}

#[test]
fn an_id_that_the_kernel_would_not_take_is_refused() {
    for id in ["", "a/b", "A", &"a".repeat(64)] {
        let error = write_delta(id, "vmlinux", &[], &symvers()).unwrap_err();
        assert!(error.to_string().contains("update id"), "{error}");
    }
}

#[test]
fn a_match_only_update_has_no_code() {
    let object = compile(&format!("{HEAD}int f(int a) {{ return take(a); }}"), &FLAGS);
    let bytes = write_match_only("rsp_match", "vmlinux", &[("a.c", &object)]).unwrap();
    let file = Object::parse(&bytes).unwrap();
    let update = file.section_named(".init.resplice.update").unwrap();
    assert_eq!(update.bytes.len(), 168);
    assert_eq!(&update.bytes[12..16], &1_u32.to_le_bytes());
    assert_eq!(&update.bytes[16..26], b"rsp_match\0");
    assert!(!file.sections.iter().any(|s| s.kind.is_code()));
}

#[test]
fn flipped_bytes_never_panic() {
    let pre = format!(
        "{HEAD}static int c; int g(int a) {{ return take(a); }} int f(int a) {{ c++; return hidden(a) + sink(\"x\"); }}"
    );
    let post = pre.replace("hidden(a)", "hidden(g(a)) + sink(f)");
    let (reference, pre, post) = (
        compile(&pre, &FLAGS),
        compile(&pre, &SPLIT),
        compile(&post, &SPLIT),
    );
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..1500 {
        let mut objects = [reference.clone(), pre.clone(), post.clone()];
        for _ in 0..2 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bad = &mut objects[round % 3];
            let at = (seed >> 33) as usize % bad.len();
            bad[at] ^= 1 << (seed >> 20 & 7);
        }
        let [reference, pre, post] = &objects;
        let unit = UnitInput {
            touched: None,
            declared: &[],
            name: "unit.c",
            reference,
            pre,
            post,
        };
        let _ = write_delta("rsp_test", "vmlinux", &[unit], &symvers());
    }
}

/// As the macros of <resplice/hooks.h> write it.
fn hook(kind: &str, function: &str) -> String {
    let id = function.replace(|c: char| !c.is_alphanumeric(), "_");
    format!(
        "static void *const hook_{kind}_{id} __attribute__((used, no_reorder, \
         section(\".resplice.hook.{kind}\"))) = (void *){function};"
    )
}

/// Function, kind and `after` of each hook of a delta, in its order.
fn hooks(delta: &Delta) -> Vec<(String, u32, u32)> {
    let read = read(delta);
    let section = read.file.section_named(".init.resplice.hooks").unwrap();
    let word = |at: usize| u32::from_le_bytes(section.bytes[at..at + 4].try_into().unwrap());
    (0..section.bytes.len() / 16)
        .map(|i| {
            let reloc = section.reloc_at(16 * i as u64).unwrap();
            let place = read.file.reloc_place(reloc).unwrap();
            let name = &read.file.symbol_covering(place).unwrap().name;
            (name.clone(), word(16 * i + 8), word(16 * i + 12))
        })
        .collect()
}

const ALONE: &str = "int f(int a) { return take(a); }";

#[test]
fn an_update_may_consist_of_a_hook_alone() {
    let post = format!(
        "{ALONE} static int before(void) {{ return hidden(1); }} {}",
        hook("pre_apply", "before")
    );
    let delta = delta_of(&[(ALONE, &post)]);
    assert_eq!(hooks(&delta), [("before".to_owned(), 0, 0)]);
    assert_eq!(delta.plan.replaced().count(), 0);
    // What a hook uses is resolved as for all new code.
    assert!(read(&delta).late_in(".text").contains(&"hidden"));
}

#[test]
fn hooks_keep_the_order_of_the_source_and_fail_hooks_their_partners() {
    let functions = ["a", "b", "c"].map(|n| {
        format!("static int p_{n}(void) {{ return take({0}); }} static void q_{n}(void) {{ take(-{0}); }}",
            n.as_bytes()[0])
    });
    let unit = |names: &[(&str, &str)]| {
        let hooks: Vec<String> = names.iter().map(|(k, f)| hook(k, f)).collect();
        format!("{ALONE} {} {}", functions.join(" "), hooks.join("\n"))
    };
    let first = unit(&[
        ("pre_apply", "p_c"),
        ("pre_apply", "p_a"),
        ("fail_apply", "q_c"),
        ("fail_reverse", "q_b"),
    ]);
    let second = unit(&[
        ("fail_apply", "q_a"),
        ("pre_apply", "p_b"),
        ("fail_apply", "q_b"),
    ])
    .replace("int f(", "int g(");
    let other = ALONE.replace("int f(", "int g(");
    let delta = delta_of(&[(ALONE, &first), (&other, &second)]);
    let mut found = hooks(&delta);
    found.retain(|(_, kind, _)| *kind == 0);
    assert_eq!(
        found.iter().map(|h| h.0.as_str()).collect::<Vec<_>>(),
        ["p_c", "p_a", "p_b"]
    );
    let fails: Vec<(String, u32, u32)> = hooks(&delta).into_iter().filter(|h| h.1 != 0).collect();
    let want = |name: &str, kind, after| (name.to_owned(), kind, after);
    assert_eq!(
        fails,
        [
            want("q_c", 4, 1),
            want("q_b", 9, 0),
            want("q_a", 4, 3),
            want("q_b", 4, 3)
        ]
    );
}

#[test]
fn only_code_that_the_patch_adds_may_be_a_hook() {
    let old =
        "static noinline int old(int a) { return take(a * 3); } int f(int a) { return old(a); }";
    let cases = [
        (hook("pre_apply", "old"), "hook-not-added", "old"),
        (hook("pre_apply", "f"), "hook-not-added", "f"),
        (hook("pre_apply", "take"), "hook-not-added", "take"),
        (
            format!(
                "static int __attribute__((section(\".init.text\"))) gone(void) {{ return take(7); }} {}",
                hook("pre_apply", "gone")
            ),
            "hook-not-added",
            "gone",
        ),
        (
            format!("static int twice(void) {{ return take(7); }} {}
                static void *const again __attribute__((used, section(\".resplice.hook.apply\"))) = (void *)twice;",
                hook("apply", "twice")),
            "duplicate-hook",
            "twice",
        ),
        (
            format!("static int in(void) {{ return take(7); }} {}", hook("apply", "((char *)in + 4)")),
            "bad-hook",
            "hook_apply___char___in___4_",
        ),
        (
            "static long number __attribute__((used, section(\".resplice.hook.apply\"))) = 3;".to_owned(),
            "bad-hook",
            "number",
        ),
    ];
    for (post, code, object) in cases {
        let delta = delta_of(&[(old, &format!("{old} {post}"))]);
        let found = codes(&delta);
        assert!(found.contains(&(code, object)), "{post}: {found:?}");
        assert!(delta.bytes.is_none());
    }
}
