#![allow(clippy::unwrap_used)]
use super::*;

/// What diff says if one run of lines differs.
fn text(old: &str, new: &str) -> Option<String> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(old), lines(new));
    let ends = before.iter().rev().zip(after.iter().rev());
    let alike = ends.take_while(|(a, b)| a == b).count();
    let change = LineChange {
        old_next: before.len() - alike + 1,
        new_next: after.len() - alike + 1,
        shifts: before.len() != after.len(),
    };
    let both = both(old.as_bytes(), new.as_bytes(), &[change])?;
    Some(String::from_utf8(both).unwrap())
}

#[test]
fn both_versions_of_a_statement_are_there_with_their_numbers() {
    let expected = "int f(void)\n{\n__resplice_old__ __COUNTER__\n#line 3\n\treturn 1;\n__resplice_new__ __COUNTER__\n\
                    #line 3\n\tg();\n\treturn 2;\n__resplice_end__ __COUNTER__\n#line 4\n}\nint x;\n";
    let old = "int f(void)\n{\n\treturn 1;\n}\nint x;\n";
    let new = "int f(void)\n{\n\tg();\n\treturn 2;\n}\nint x;\n";
    assert_eq!(text(old, new).unwrap(), expected);
}

#[test]
fn a_border_lies_where_no_call_of_a_macro_is_open() {
    // `CALL` would not see its parenthesis behind the border.
    let old = "int a;\nint b = CALL\n(1);\nint c;\nint d;\n";
    let new = "int a;\nint b = CALL\n(2);\nint c;\nint d;\n";
    let both = text(old, new).unwrap();
    assert!(
        both.starts_with("int a;\n__resplice_old__ __COUNTER__\n#line 2\nint b = CALL\n(1);\n")
    );
    let old = "int a;\nF(b,\n1,\nc);\nint d;\n";
    let both = text(old, &old.replace('1', "2,\n3")).unwrap();
    assert!(both.starts_with("int a;\n__resplice_old__ __COUNTER__\n#line 2\nF(b,\n1,\nc);\n"));
    // After the change the post file has its own directive.
    assert!(
        both.contains("__resplice_new__ __COUNTER__\n#line 2\nF(b,\n2,\n3,\nc);\n__resplice_end__ __COUNTER__\n#line 5\n")
    );
}

#[test]
fn a_comment_is_on_one_side_of_a_border() {
    let old = "int a;\n/* b\n * c;\n */\nint d;\nint e;\n";
    let both = text(old, &old.replace("* c;", "* d;")).unwrap();
    assert!(both.starts_with("int a;\n__resplice_old__ __COUNTER__\n#line 2\n/* b\n"));
}

#[test]
fn lines_of_the_post_file_keep_their_numbers_inside() {
    let old = "int a;\nint b\n;\nint c;\n";
    let both = text(old, "int a;\nint\nlong b\n;\nint c;\n").unwrap();
    let new = "__resplice_new__ __COUNTER__\n#line 2\nint\nlong b\n#line 3\n;\n__resplice_end__ __COUNTER__\n#line 4\n";
    assert!(both.contains(new), "{both}");
}

#[test]
fn there_is_none_if_directives_change_or_a_border_is_missing() {
    for (old, new) in [
        (
            "int a;\nint b;\nint c;\n",
            "int a;\n#define b\nint b;\nint c;\n",
        ),
        ("int a;\nint b;\nint c;\n", "int a;\n  # if X\nint c;\n"),
        ("int a;\nint b;\nint c;\n", "int a;\n%:define b\nint c;\n"),
        (
            "int a;\nint b\n#if X\n;\n#endif\nint c;\n",
            "int a;\nint d\n#if X\n;\n#endif\nint c;\n",
        ),
        // A file's end is no border: what includes it may go on.
        ("int a;\nX\n", "int a;\nY\n"),
        ("int a;\nint b;\n", "int a;\nint c;\n"),
        (
            "#line 3\nint a;\nint b;\nint c;\n",
            "#line 3\nint a;\nint c;\n",
        ),
        (
            "int __resplice_x;\nint b;\nint c;\n",
            "int __resplice_x;\nint c;\n",
        ),
        ("int b;\nint c;", "int d;\nint c;"),
    ] {
        assert_eq!(text(old, new), None, "{new}");
    }
}

#[test]
fn changes_that_share_a_statement_are_one() {
    let old = "int a;\nF(1,\n2,\n3);\nint b;\n";
    let new = "int a;\nF(4,\n2,\n5);\nint b;\n";
    let change = |next| LineChange {
        old_next: next,
        new_next: next,
        shifts: false,
    };
    let both = both(old.as_bytes(), new.as_bytes(), &[change(3), change(5)]).unwrap();
    let both = String::from_utf8(both).unwrap();
    assert_eq!(both.matches("__resplice_old__").count(), 1, "{both}");
    assert!(both.contains("F(1,\n2,\n3);\n__resplice_new__ __COUNTER__\n#line 2\nF(4,\n2,\n5);\n"));
}
