#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::diff::diff_unit;
use crate::testing::compile;

const SPLIT: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];

fn listed(pre: &str, post: &str) -> Listing {
    let reference = compile(pre, &[]);
    let (pre, post) = (compile(pre, &SPLIT), compile(post, &SPLIT));
    let plan = diff_unit("unit.c", &reference, &pre, &post).unwrap();
    assert!(plan.refused.is_empty(), "{:?}", plan.refused);
    let unit = UnitInput {
        object: "vmlinux",
        plan: &plan,
        pre: &pre,
        post: &post,
    };
    listing(&[unit]).unwrap()
}

fn texts(side: &Side) -> Vec<&str> {
    side.lines.iter().map(|line| line.text.as_str()).collect()
}

const PRE: &str = "extern int take(const char *, int); extern int limits[4];\n\
    int keep(int a) { return a; }\n\
    int f(int a) { if (a > limits[2]) return take(\"old \\\"words\\\"\", 1); return 7; }";

#[test]
fn both_versions_of_a_replaced_function_are_listed_with_names() {
    let found = listed(PRE, &PRE.replace("old ", "new "));
    assert_eq!(found.left_out, 0);
    let [f] = found.functions.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!((&*f.name, &*f.unit, &*f.object), ("f", "unit.c", "vmlinux"));
    let pre = texts(&f.pre);
    assert!(pre.contains(&"cmp %edi,limits+0x8"), "{pre:#?}");
    assert!(pre.contains(&r#"mov $"old \"words\"",%rdi"#), "{pre:#?}");
    assert!(pre.contains(&"jmp take"), "{pre:#?}");
    assert!(texts(&f.post).contains(&r#"mov $"new \"words\"",%rdi"#));
}

#[test]
fn a_branch_within_the_function_says_where_it_leads() {
    let found = listed(PRE, &PRE.replace("7", "8"));
    let lines = &found.functions[0].pre.lines;
    let branch = lines.iter().find(|line| line.target.is_some()).unwrap();
    assert_eq!(branch.text, "jl");
    assert!(lines.iter().any(|line| Some(line.offset) == branch.target));
    // Offsets follow from the bytes, which are all there.
    let mut offset = 0;
    for line in lines {
        assert_eq!(line.offset, offset);
        offset += line.bytes.len() as u64 / 2;
    }
    assert_eq!(found.functions[0].pre.cut_bytes, 0);
}

#[test]
fn a_listing_says_what_it_leaves_out() {
    let body: String = (0..MAX_FUNCTION_LINES)
        .map(|i| format!("sink = {i};"))
        .collect();
    let source = format!("volatile int sink; void f(void) {{ {body} sink = -1; }}");
    let found = listed(&source, &source.replace("-1", "-2"));
    let side = &found.functions[0].post;
    assert_eq!(side.lines.len(), MAX_FUNCTION_LINES);
    assert!(side.cut_bytes > 0);

    let function = |n: usize| format!("void f{n}(void) {{ sink = DIFF; }}");
    let many: String = (0..=MAX_FUNCTIONS).map(function).collect();
    let source = format!("volatile int sink; {many}");
    let found = listed(&source.replace("DIFF", "1"), &source.replace("DIFF", "2"));
    assert_eq!((found.functions.len(), found.left_out), (MAX_FUNCTIONS, 1));
}
