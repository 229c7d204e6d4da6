#![allow(clippy::unwrap_used)]
use super::*;

/// One line added before the line `new_next` of the new text.
fn one_more(new_next: usize) -> Vec<LineChange> {
    vec![LineChange {
        old_next: new_next - 1,
        new_next,
        shifts: true,
    }]
}

fn with(text: &str, changes: &[LineChange]) -> String {
    String::from_utf8(with_line_directives(text.as_bytes(), changes)).unwrap()
}

#[test]
fn headers_of_diff_without_context_are_read() {
    let diff =
        b"--- a\n+++ b\n@@ -10,0 +11,2 @@\n+a\n+b\n@@ -20,3 +23,0 @@\n-x\n@@ -30 +30 @@ f()\n";
    let changes = line_changes(diff).unwrap();
    let plain: Vec<_> = changes
        .iter()
        .map(|c| (c.old_next, c.new_next, c.shifts))
        .collect();
    assert_eq!(plain, [(11, 13, true), (23, 24, true), (31, 31, false)]);
    assert!(line_changes(b"@@ -x +1 @@\n").is_err());
}

#[test]
fn the_line_after_a_change_has_its_old_number() {
    assert_eq!(
        with("a;\nnew;\nb;\nc;\n", &one_more(3)),
        "a;\nnew;\n#line 2\nb;\nc;\n"
    );
}

#[test]
fn a_change_that_keeps_the_count_needs_nothing() {
    let changes = [LineChange {
        old_next: 3,
        new_next: 3,
        shifts: false,
    }];
    assert_eq!(with("a;\nb;\nc;\n", &changes), "a;\nb;\nc;\n");
}

#[test]
fn several_changes_add_up() {
    let changes = [
        LineChange {
            old_next: 2,
            new_next: 3,
            shifts: true,
        },
        LineChange {
            old_next: 4,
            new_next: 4,
            shifts: true,
        },
    ];
    assert_eq!(
        with("a;\nnew;\nb;\nd;\n", &changes),
        "a;\nnew;\n#line 2\nb;\n#line 4\nd;\n"
    );
}

#[test]
fn nothing_is_put_into_a_macro_a_comment_or_parentheses() {
    assert_eq!(
        with("#define F \\\n new \\\n x\nb;\n", &one_more(3)),
        "#define F \\\n new \\\n x\n#line 3\nb;\n"
    );
    assert_eq!(
        with("/* a\n new\n x */\nb;\n", &one_more(3)),
        "/* a\n new\n x */\n#line 3\nb;\n"
    );
    assert_eq!(
        with("WARN(a,\n new,\n ')');\nb;\n", &one_more(3)),
        "WARN(a,\n new,\n ')');\n#line 3\nb;\n"
    );
}

#[test]
fn comment_marks_and_quotes_in_strings_mean_nothing() {
    assert_eq!(
        with("f(\"/* \\\"(\");\nnew;\nb;\n", &one_more(3)),
        "f(\"/* \\\"(\");\nnew;\n#line 2\nb;\n"
    );
    assert_eq!(
        with("#error don't (\n}\nnew;\nb;\n", &one_more(4)),
        "#error don't (\n}\nnew;\n#line 3\nb;\n"
    );
    assert_eq!(
        with("a; // it's (\nnew;\nb;\n", &one_more(3)),
        "a; // it's (\nnew;\n#line 2\nb;\n"
    );
}

#[test]
fn text_that_may_be_skipped_gets_the_directive_again_after_it() {
    assert_eq!(
        with("#ifdef A\nnew;\nb;\n#else\nc;\n#endif\nd;\n", &one_more(3)),
        "#ifdef A\nnew;\n#line 2\nb;\n#else\n#line 4\nc;\n#endif\n#line 6\nd;\n"
    );
    let nested = "#if A\n# if B\nnew\n# endif\nx\n#endif\ny\n#if C\nz\n#endif\n";
    assert_eq!(
        with(nested, &one_more(4)),
        "#if A\n# if B\nnew\n#line 3\n# endif\n#line 4\nx\n#endif\n#line 6\ny\n#if C\nz\n#endif\n"
    );
}

#[test]
fn unbalanced_parentheses_only_delay() {
    let mut text = "f((\nnew\n".to_owned();
    text.push_str(&"x\n".repeat(70));
    let out = with(&text, &one_more(3));
    let position = out
        .lines()
        .position(|line| line.starts_with("#line"))
        .unwrap();
    assert_eq!(position, 2 + MAX_DELAY_LINES);
    assert_eq!(out.lines().nth(position), Some("#line 66"));
}
