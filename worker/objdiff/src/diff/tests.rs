//! One small C file per class of change, compiled as kernel code is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::diff_unit;
use crate::plan::{Outcome, UnitPlan};
use crate::testing::compile;

const SPLIT: [&str; 5] = [
    "-ffunction-sections",
    "-fdata-sections",
    "-pg",
    "-mfentry",
    "-mrecord-mcount",
];

const HEAD: &str = "#define noinline __attribute__((noinline))\n\
    #define __init __attribute__((section(\".init.text\"), cold))\n\
    #define __exit __attribute__((section(\".exit.text\"), cold))\n\
    #define noinstr __attribute__((section(\".noinstr.text\")))\n\
    extern int sink(const void *); extern int take(int); extern void die(void);\n";

fn diff(pre: &str, post: &str) -> UnitPlan {
    let pre = format!("{HEAD}{pre}");
    let post = format!("{HEAD}{post}");
    let reference = compile(&pre, &SPLIT[2..]);
    diff_unit(
        "unit.c",
        &reference,
        &compile(&pre, &SPLIT),
        &compile(&post, &SPLIT),
    )
    .unwrap()
}

fn replaced(plan: &UnitPlan) -> Vec<&str> {
    plan.replaced.iter().map(|r| r.name.as_str()).collect()
}

fn codes(plan: &UnitPlan) -> Vec<(&str, &str)> {
    plan.refused
        .iter()
        .map(|r| (r.code.as_str(), r.object.as_str()))
        .collect()
}

#[test]
fn the_same_source_has_nothing_to_replace() {
    let source =
        "static int count; int f(int a) { static int n; count += a; return n++ + sink(\"x\"); }";
    let plan = diff(source, source);
    assert_eq!(
        plan,
        UnitPlan {
            name: "unit.c".into(),
            ..UnitPlan::default()
        }
    );
    assert_eq!(plan.outcome(), Outcome::Nothing);
}

#[test]
fn only_the_function_with_another_body_is_replaced() {
    let plan = diff(
        "int f(int a) { return take(a) + 1; } int g(int a) { return take(a) * 3; }",
        "int f(int a) { return a < 0 ? 0 : take(a) + 1; } int g(int a) { return take(a) * 3; }",
    );
    assert_eq!(replaced(&plan), ["f"]);
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
    assert!(plan.replaced[0].new_size > plan.replaced[0].old_size);
}

#[test]
fn renumbered_static_locals_change_nothing() {
    // A new static local in front shifts the counter of those behind it.
    let f = "int f(int a) { static int n; return take(n += a); }";
    let plan = diff(
        &format!("int e(int a) {{ return take(a); }} {f}"),
        &format!("int e(int a) {{ static int n; return take(n += a); }} {f}"),
    );
    assert_eq!(replaced(&plan), ["e"]);
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
}

#[test]
fn static_locals_of_one_name_in_two_functions_are_told_apart() {
    let pre = "int f(int a) { static int n; return take(n += a); } \
               int g(int a) { static int n; return take(n -= a); }";
    let post = "int f(int a) { static int n; return take(n += a) + 1; } \
                int g(int a) { static int n; return take(n -= a); }";
    let plan = diff(pre, post);
    assert_eq!(replaced(&plan), ["f"]);
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
}

#[test]
fn functions_that_swapped_places_change_nothing() {
    let f = "int f(int a) { static int n; return take(n += a); }";
    let g = "int g(int a) { static int n; return take(n -= a); }";
    let plan = diff(&format!("{f} {g}"), &format!("{g} {f}"));
    assert_eq!(plan.outcome(), Outcome::Nothing, "{plan:?}");
}

#[test]
fn another_string_is_another_function() {
    let plan = diff(
        "int f(void) { return sink(\"old\"); } int g(void) { return sink(\"same\"); }",
        "int f(void) { return sink(\"new\"); } int g(void) { return sink(\"same\"); }",
    );
    assert_eq!(replaced(&plan), ["f"]);
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
}

#[test]
fn a_changed_inline_replaces_its_callers() {
    let rest = "int f(int a) { return in(a) + 1; } int g(int a) { return in(a) * 2; } int h(int a) { return take(a); }";
    let plan = diff(
        &format!("static inline int in(int a) {{ return take(a); }} {rest}"),
        &format!("static inline int in(int a) {{ return a > 9 ? 9 : take(a); }} {rest}"),
    );
    assert_eq!(replaced(&plan), ["f", "g"]);
}

#[test]
fn a_changed_initialiser_is_refused_by_name() {
    let plan = diff(
        "int limit = 10; int f(void) { return limit; }",
        "int limit = 20; int f(void) { return limit; }",
    );
    assert_eq!(codes(&plan), [("changed-data", "limit")]);
    assert_eq!(plan.outcome(), Outcome::NeedsCode);
}

#[test]
fn a_changed_table_of_pointers_is_exchanged_in_place() {
    let rest = "int f(int a) { return take(a); } int g(int a) { return take(-a); }";
    let plan = diff(
        &format!("{rest} int (*const ops[])(int) = {{ f, f }};"),
        &format!("{rest} int (*const ops[])(int) = {{ f, g }};"),
    );
    assert_eq!(codes(&plan), []);
    assert_eq!(plan.exchanged.len(), 1);
    let ops = &plan.exchanged[0];
    assert_eq!((ops.name.as_str(), ops.size, ops.bytes), ("ops", 16, 8));
    assert_eq!(plan.outcome(), Outcome::Replace);
}

#[test]
fn a_variable_that_grew_is_refused_by_name() {
    let plan = diff(
        "static char buffer[16]; int f(void) { return sink(buffer); }",
        "static char buffer[32]; int f(void) { return sink(buffer); }",
    );
    assert_eq!(codes(&plan), [("changed-data", "buffer")]);
}

#[test]
fn a_changed_static_local_initialiser_is_refused() {
    let plan = diff(
        "int f(void) { static int n = 1; return take(n++); }",
        "int f(void) { static int n = 2; return take(n++); }",
    );
    assert_eq!(codes(&plan), [("changed-data", "n.0")]);
}

#[test]
fn static_locals_that_can_not_be_told_apart_make_no_unchanged_function() {
    let plan = diff(
        "int f(int a) { if (a) { static int n; return take(n++); } return 1; }",
        "int f(int a) { if (a) { static int n; return take(n++); } else { static int n; return take(n--); } }",
    );
    assert_eq!(replaced(&plan), ["f"]);
}

#[test]
fn a_changed_cold_part_replaces_its_function() {
    let body = |n: i32| {
        format!(
            "extern void oops(int) __attribute__((cold)); \
             int f(int a, int b) {{ if (a > 3) {{ oops({n}); take(b); oops({n}); return -1; }} return take(a); }}"
        )
    };
    let plan = diff(&body(1), &body(2));
    assert_eq!(replaced(&plan), ["f"]);
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
}

#[test]
fn added_and_removed_functions_are_listed() {
    let plan = diff(
        "static noinline int was(int a) { return take(a); } int f(int a) { return was(a) + 1; }",
        "static noinline int is(int a) { return take(a + 2); } int f(int a) { return is(a) + 1; }",
    );
    assert_eq!(replaced(&plan), ["f"]);
    assert_eq!(plan.added, ["is"]);
    assert_eq!(plan.removed, ["was"]);
}

#[test]
fn a_caller_of_a_changed_function_is_not_replaced() {
    let rest = "int g(int a) { return f(a) + 1; }";
    let plan = diff(
        &format!("noinline int f(int a) {{ return take(a); }} {rest}"),
        &format!("noinline int f(int a) {{ return take(a + 1); }} {rest}"),
    );
    assert_eq!(replaced(&plan), ["f"]);
    assert_eq!(plan.replaced[0].callers, ["g"]);
}

#[test]
fn a_changed_init_function_is_refused() {
    let plan = diff(
        "int __init start(void) { return take(1); }",
        "int __init start(void) { return take(2); }",
    );
    assert_eq!(codes(&plan), [("init-changed", "start")]);
}

#[test]
fn a_changed_exit_function_is_only_noted() {
    let plan = diff(
        "void __exit stop(void) { take(1); }",
        "void __exit stop(void) { take(2); }",
    );
    assert_eq!(plan.exit_changed, ["stop"]);
    assert_eq!(plan.outcome(), Outcome::Nothing);
}

#[test]
fn entry_code_is_refused() {
    let plan = diff(
        "noinstr int enter(int a) { return take(a); }",
        "noinstr int enter(int a) { return take(a + 1); }",
    );
    assert_eq!(codes(&plan), [("entry-code", "enter")]);
}

#[test]
fn where_an_unplugged_cpu_stays_is_refused() {
    let plan = diff(
        "void hlt_play_dead(void) { for (;;) take(1); }",
        "void hlt_play_dead(void) { for (;;) take(2); }",
    );
    assert_eq!(codes(&plan), [("unplugged-cpu", "hlt_play_dead")]);
}

#[test]
fn a_function_too_small_for_a_jump_is_refused() {
    let plan = diff(
        "int f(void) { return 1; }",
        "int f(void) { return take(2) + 2; }",
    );
    // fentry slot 5, mov 5, ret 1: room enough.
    assert_eq!(codes(&plan), []);
    let plan = diff("void f(void) { }", "void f(void) { die(); }");
    assert_eq!(codes(&plan), [("too-small", "f")]);
}

#[test]
fn a_weak_function_is_refused() {
    let plan = diff(
        "__attribute__((weak)) int f(int a) { return take(a); }",
        "__attribute__((weak)) int f(int a) { return take(a + 1); }",
    );
    assert_eq!(codes(&plan), [("weak-function", "f")]);
}

#[test]
fn a_line_number_in_the_bug_table_is_no_change() {
    let bug = |line: u32| {
        format!(
            "int f(int a) {{ if (a) asm volatile(\"1: ud2\\n.pushsection __bug_table,\\\"aw\\\"\\n\
             2: .long 1b - .\\n.long %c0 - .\\n.word %c1\\n.word 0\\n.popsection\" \
             :: \"i\" (\"unit.c\"), \"i\" ({line})); return take(a); }}"
        )
    };
    assert_eq!(diff(&bug(10), &bug(12)).outcome(), Outcome::Nothing);
    let other = bug(10)
        .replace("unit.c\\\"", "other.c\\\"")
        .replace(".word 0", ".word 1");
    assert_eq!(replaced(&diff(&bug(10), &other)), ["f"]);
}

#[test]
fn an_exception_table_entry_belongs_to_its_function() {
    let code = |fixup: &str| {
        format!(
            "int f(int *a) {{ int r = 0; asm volatile(\"1: movl (%1), %0\\n2: nop\\n3: nop\\n\
             .pushsection __ex_table,\\\"a\\\"\\n.long 1b - .\\n.long {fixup} - .\\n.long 1\\n.popsection\" \
             : \"+r\" (r) : \"r\" (a)); return take(r); }} int g(int a) {{ return take(a); }}"
        )
    };
    assert_eq!(diff(&code("2b"), &code("2b")).outcome(), Outcome::Nothing);
    assert_eq!(replaced(&diff(&code("2b"), &code("3b"))), ["f"]);
}

#[test]
fn mutual_recursion_settles() {
    let rest = "noinline int g(int a); noinline int f(int a) { return a ? g(a - 1) + 1 : 0; }";
    let plan = diff(
        &format!("{rest} noinline int g(int a) {{ return a ? f(a - 1) + 2 : 0; }}"),
        &format!("{rest} noinline int g(int a) {{ return a ? f(a - 1) + 3 : 0; }}"),
    );
    assert!(replaced(&plan).contains(&"g"));
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
}

#[test]
fn a_new_constant_of_a_switch_goes_with_its_function() {
    let body = |last: i32| {
        format!(
            "int f(int a) {{ switch (a) {{ case 0: return 7; case 1: return 23; case 2: return 5; \
             case 3: return 91; case 4: return 12; case 5: return {last}; }} return 0; }} \
             int g(int a) {{ return take(a); }}"
        )
    };
    let plan = diff(&body(3), &body(4));
    assert_eq!(replaced(&plan), ["f"]);
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
}

#[test]
fn an_unknown_section_is_an_error_with_its_name() {
    let source = "__attribute__((section(\".mystery\"))) int x = 1; int f(void) { return x; }";
    let object = compile(source, &SPLIT);
    let error = diff_unit("unit.c", &object, &object, &object).unwrap_err();
    assert!(error.to_string().contains(".mystery"), "{error}");
}

#[test]
fn flipped_bytes_never_panic() {
    let source = format!(
        "{HEAD} int limit = 3; static int c; int f(int a) {{ static int n; c += limit; return n++ + sink(\"x\"); }} \
         int g(int a) {{ return f(a) + take(a); }}"
    );
    let good = compile(&source, &SPLIT);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..3000 {
        let mut bad = good.clone();
        for _ in 0..4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % bad.len();
            bad[at] = (seed >> 20) as u8;
        }
        let _ = diff_unit("unit.c", &good, &good, &bad);
        let _ = diff_unit("unit.c", &bad, &bad, &good);
    }
    for end in 0..good.len() {
        assert!(diff_unit("unit.c", &good[..end], &good, &good).is_err());
    }
}

#[test]
fn a_reference_with_other_inlining_is_refused() {
    let (pre, post) = (
        format!(
            "{HEAD}noinline int in(int a) {{ return take(a); }} int f(int a) {{ return in(a) + 1; }}"
        ),
        format!(
            "{HEAD}noinline int in(int a) {{ return take(a + 1); }} int f(int a) {{ return in(a) + 1; }}"
        ),
    );
    let inlined = pre.replace("return in(a)", "return take(a)");
    let reference = compile(&inlined, &SPLIT[2..]);
    let plan = diff_unit(
        "unit.c",
        &reference,
        &compile(&pre, &SPLIT),
        &compile(&post, &SPLIT),
    )
    .unwrap();
    assert_eq!(codes(&plan), [("reference-differs", "f")]);
}

/// As the macros of <resplice/hooks.h> write it.
fn declare(text: &str) -> String {
    format!(
        "static const char declare[] __attribute__((used, aligned(1), section(\".resplice.declare\"))) = \"{text}\";"
    )
}

#[test]
fn data_whose_running_value_shall_stay_is_kept_by_declaration() {
    let rest = "int f(int a) { static int n = 1; return take(n += a) + limit; }";
    let pre = format!("int limit = 5; {rest}");
    let post = format!("int limit = 6; {rest}");
    assert_eq!(codes(&diff(&pre, &post)), [("changed-data", "limit")]);
    let plan = diff(&pre, &format!("{post} {}", declare("data-keep:limit")));
    assert_eq!(codes(&plan), []);
    assert!(plan.declared[0].is_needed);
    assert!(plan.data_added.is_empty(), "{plan:?}");
}

#[test]
fn a_changed_init_function_is_passed_over_by_declaration() {
    let pre = "int __init start(int a) { return take(a); } int f(int a) { return take(a); }";
    let post =
        "int __init start(int a) { return take(a + 1); } int f(int a) { return take(a + 2); }";
    let plan = diff(pre, &format!("{post} {}", declare("init-done:start")));
    assert_eq!(codes(&plan), []);
    assert_eq!(replaced(&plan), ["f"]);
}

#[test]
fn a_declaration_of_a_static_local_goes_by_its_name_in_the_source() {
    let plan = diff(
        "int f(int a) { static int n = 1; return take(n += a); }",
        &format!(
            "int f(int a) {{ static int n = 2; return take(n += a); }} {}",
            declare("data-keep:n")
        ),
    );
    assert_eq!(codes(&plan), []);
}

#[test]
fn a_declaration_that_nothing_needs_is_refused_by_name() {
    let source = "int limit = 5; int f(int a) { return take(a); }";
    let unit = diff(source, &format!("{source} {}", declare("data-keep:limt")));
    let mut plan = crate::plan::Plan {
        object: "vmlinux".into(),
        units: vec![unit],
        ..Default::default()
    };
    plan.refuse_unneeded(&crate::declare::DeclarationKind::ALL);
    assert_eq!(codes(&plan.units[0]), [("unneeded-declaration", "limt")]);
}

#[test]
fn a_declaration_that_is_none_is_refused() {
    let source = "int f(int a) { return take(a); }";
    for text in ["data-kept:x", "x", "data-keep:", "data-keep:a[3]"] {
        let plan = diff(source, &format!("{source} {}", declare(text)));
        assert_eq!(
            codes(&plan),
            [("bad-declaration", ".resplice.declare")],
            "{text}"
        );
    }
}

#[test]
fn a_layout_is_declared_by_its_tag() {
    let source = "int f(int a) { return take(a); }";
    let plan = diff(
        source,
        &format!("{source} {}", declare("layout-ok:struct thing")),
    );
    assert_eq!(plan.declared[0].name, "thing");
    assert_eq!(codes(&plan), []);
}

#[test]
fn kpatch_s_names_keep_a_section_s_data_and_a_function_as_they_run() {
    let rest = "int f(int a) { return take(a) + limit; }";
    let pre = format!("int limit = 5; int g(int a) {{ return take(a * 3); }} {rest}");
    let post = format!("int limit = 6; int g(int a) {{ return take(a * 5); }} {rest}");
    assert_eq!(replaced(&diff(&pre, &post)), ["g"]);
    let two = "static const char d2[] __attribute__((used, aligned(1), section(\".resplice.declare\"))) = \"ignore-function:g\";";
    let plan = diff(
        &pre,
        &format!("{post} {} {two}", declare("ignore-section:.data.limit")),
    );
    assert_eq!(codes(&plan), []);
    assert_eq!(replaced(&plan), Vec::<&str>::new());
    assert!(plan.declared.iter().all(|d| d.is_needed), "{plan:?}");
}
