use super::*;

/// What surrounds a header in a unit.
fn unit(header: &str, code: &str) -> String {
    format!(
        "# 1 \"a.c\"\nstruct sock {{ int a; }};\n# 1 \"h.h\" 1\n{header}\n# 3 \"a.c\" 2\n{code}\n"
    )
}

fn changes(pre: &str, post: &str, code: &str) -> bool {
    affected(unit(pre, code).as_bytes(), unit(post, code).as_bytes())
}

const CODE: &str = "int f(struct sock *sk) { return sk->a; }";
const USES: &str = "int f(struct sock *sk) { return g(sk); }";
const PRE: &str = "static inline int g(struct sock *sk) { return 1; }";
const POST: &str = "static inline int g(struct sock *sk) { return 2; }";

#[test]
fn an_inline_function_matters_to_those_that_use_it() {
    assert!(!changes(PRE, POST, CODE));
    assert!(changes(PRE, POST, USES));
}

#[test]
fn use_is_followed_through_other_inline_functions_and_types() {
    let by = "static inline __attribute__((__gnu_inline__)) int h(void) { return g(0); }\n";
    let calls = "int f(void) { return h(); }";
    assert!(changes(
        &format!("{PRE}{by}"),
        &format!("{POST}{by}"),
        calls
    ));
    assert!(!changes(
        &format!("{PRE}{by}"),
        &format!("{POST}{by}"),
        CODE
    ));
    let typed = "typedef struct in t; struct out { t x; }; extern struct out o;\n";
    let pre = format!("struct in {{ int a; }};{typed}");
    let post = format!("struct in {{ int b, a; }};{typed}");
    assert!(changes(&pre, &post, "int f(void) { return o.x.a; }"));
    assert!(changes(&pre, &post, "int f(t *x) { return x->a; }"));
    assert!(!changes(&pre, &post, CODE));
}

#[test]
fn a_member_is_used_by_who_names_the_type_or_what_has_it() {
    let get = "struct w { int x; }; struct w *get(void);\n";
    let wide = "struct w { long x; }; struct w *get(void);\n";
    assert!(changes(get, wide, "int f(void) { return get()->x; }"));
    assert!(!changes(get, wide, CODE));
}

#[test]
fn a_type_that_is_only_pointed_to_is_reached_by_the_members_name() {
    let changes = |types: &str, code: &str| {
        let pre = format!("struct in {{ int a; }};\n{types}\n");
        let post = format!("struct in {{ int b, a; }};\n{types}\n");
        changes(&pre, &post, code)
    };
    let points = "struct t { int n; const struct in *const p; }; extern struct t o;";
    assert!(!changes(points, "int f(void) { return o.n; }"));
    for code in [
        "int f(void) { return o.p->a; }",
        "struct t *g(struct t *x) { typeof(*x->p) y; return h(&y); }",
        "struct t v = { .p = 0 };",
        "int f(struct in *x) { return x->a; }",
    ] {
        assert!(changes(points, code), "{code}");
    }
    // By way of another structure, and of an inline function.
    let twice = format!("{points} struct u {{ struct t *q; union {{ struct in **r; }}; }};");
    assert!(changes(&twice, "int f(struct u *u) { return u->q->p->a; }"));
    assert!(changes(&twice, "int f(struct u *u) { return (*u->r)->a; }"));
    assert!(!changes(&twice, "int f(struct u *u) { return u->q->n; }"));
    let by = format!("{points} static inline int g(void) {{ return o.p->a; }}");
    assert!(changes(&by, "int f(void) { return g(); }"));
    assert!(!changes(&by, "int f(void) { return o.n; }"));
    // What is not one pointer by itself counts as part of the structure.
    for member in [
        "struct in p;",
        "struct in p[2];",
        "struct in *p, *q;",
        "struct in *p, q;",
        "struct in *p[sizeof(struct in)];",
        "int (*p)(struct in *);",
        "struct in { int c; } *p;",
        "int p : sizeof(struct in);",
    ] {
        let types = format!("struct t {{ int n; {member} }}; extern struct t o;");
        assert!(changes(&types, "int f(void) { return o.n; }"), "{member}");
    }
}

#[test]
fn a_member_of_the_same_name_is_no_use_of_it() {
    let types = "struct t { struct w *E; int n; };\n";
    let code = "int f(struct t *t) { return t->n; }";
    let with = |list: &str| format!("enum e {{ {list} }};\n{types}");
    assert!(!changes(&with("A, E"), &with("A, B, E"), code));
    let width = "struct t { int m : 2 * E; int n; };\n";
    let with = |list: &str| format!("enum e {{ {list} }};\n{width}");
    assert!(changes(&with("A, E"), &with("A, B, E"), code));
}

#[test]
fn enumerators_and_prototypes_have_names() {
    assert!(changes(
        "enum e { A, B };",
        "enum e { A, X, B };",
        "int f(void) { return B; }"
    ));
    assert!(!changes("enum e { A, B };", "enum e { A, X, B };", CODE));
    assert!(changes(
        "int p(int);",
        "int p(long);",
        "int f(void) { return p(1); }"
    ));
    assert!(!changes("int p(int);", "int p(long); void q(void);", CODE));
}

#[test]
fn what_emits_something_by_itself_always_matters() {
    for post in [
        "int v;",
        "static int v = 1;",
        "int (*v)(int);",
        "int v(void) { return 1; }",
        "static int v(void) { return 1; }",
        "asm(\"nop\");",
        "static inline __attribute__((__used__)) int v(void) { return 1; }",
        "struct s { int a; } v;",
        "struct s { int a; } v = { 1 };",
        "struct sock v = { 1 };",
        "struct __attribute__((packed)) { int a; } v;",
        "typeof(int) v = 1;",
        "int v(void) { return 1;",
    ] {
        assert!(changes("", post, CODE), "{post}");
    }
}

#[test]
fn declarations_in_another_order_are_compiled() {
    assert!(changes(
        "int a(int); int b(int);",
        "int b(int); int a(int);",
        CODE
    ));
}

#[test]
fn line_markers_and_white_space_mean_nothing() {
    let moved = "# 7 \"h.h\"\nstatic  inline int g(struct sock *sk)\n{\n\treturn 1;\n}";
    assert!(!changes(PRE, moved, USES));
    assert!(changes("", "", "") || !differ(b"# 1 \"x\"\n nop\n", b"\nnop\n"));
    assert!(differ(b"nop\n", b"nop\nret\n"));
}

#[test]
fn numbers_that_the_preprocessor_counts_mean_nothing() {
    let code = |number: u32| {
        format!(
            "int f(void) {{ extern void __compiletime_assert_{number}(void); \
             __compiletime_assert_{number}(); return sizeof(struct sock); }}\n\
             static int __UNIQUE_ID_x{number} = 1;\n"
        )
    };
    let with = |header: &str, number| unit(header, &code(number)).into_bytes();
    assert!(!affected(&with(PRE, 1), &with(POST, 12)));
    let ids = |name: &str, number| {
        let label = format!("asm(\"\" \"__BTF_ID__func__{name}__{number}\" \":\");");
        unit(&label, CODE).into_bytes()
    };
    assert!(!affected(&ids("f1", 12), &ids("f1", 345)));
    assert!(affected(&ids("f1", 12), &ids("f2", 12)));
    let other = unit(POST, &code(1).replace("__UNIQUE_ID_x1", "__UNIQUE_ID_y1"));
    assert!(affected(&with(PRE, 1), other.as_bytes()));
}

/// A header of which one place has two versions, as the preprocessor leaves it.
fn two(old: &str, new: &str) -> String {
    format!("__resplice_old__ 3\n{old}\n__resplice_new__ 4\n{new}\n__resplice_end__ 5\n")
}

fn changes_in_both(header: &str, code: &str) -> Option<bool> {
    affected_in_both(unit(header, code).as_bytes())
}

#[test]
fn one_text_with_both_versions_says_the_same_as_two() {
    for (pre, post, code) in [
        (PRE, POST, CODE),
        (PRE, POST, USES),
        (PRE, PRE, USES),
        ("", "int v;", CODE),
        ("", "int p(int);", CODE),
        (
            "enum e { A, B };",
            "enum e { A, X, B };",
            "int f(void) { return B; }",
        ),
    ] {
        let expected = Some(changes(pre, post, code));
        assert_eq!(changes_in_both(&two(pre, post), code), expected, "{post}");
    }
    // Only a part of the declaration is there twice.
    let inside = |code| {
        let body = two("return 1;", "return 2;");
        changes_in_both(
            &format!("static inline int g(struct sock *sk) {{ {body} }}"),
            code,
        )
    };
    assert_eq!(inside(CODE), Some(false));
    assert_eq!(inside(USES), Some(true));
    // A header that is not included, or a place that is skipped.
    assert_eq!(changes_in_both(PRE, USES), Some(false));
    // One that is included twice.
    let twice = two("int p(int);", "int p(long);").repeat(2);
    assert_eq!(
        changes_in_both(&twice, "int f(void) { return p(1); }"),
        Some(true)
    );
}

#[test]
fn versions_that_macros_have_mixed_up_are_not_told_apart() {
    let two = two("a", "b");
    for header in [
        two.replace("__resplice_end__", ""),
        two.replace("__resplice_old__", ""),
        two.replace("__resplice_new__", "__resplice_end__"),
        two.replace("__resplice_new__", "x__resplice_new__"),
        format!("char x[] = \"{}\";", two.replace('\n', " ")),
        format!("{two}char x[] = \"__resplice_old__\";"),
        format!("{two}\n#pragma push_macro(\"x\")\n"),
        format!("__resplice_old__ 0\n{two}__resplice_new__ 1 __resplice_end__ 2"),
    ] {
        assert_eq!(changes_in_both(&header, USES), None, "{header}");
    }
}

#[test]
fn versions_that_count_differently_are_not_told_apart() {
    let once = "extern void __compiletime_assert_1(void);";
    let again = "extern void __compiletime_assert_2(void);";
    let count = |text: String, end: &str| text.replace("__ 4", "__ 5").replace("end__ 5", end);
    let same = count(two(once, again), "end__ 7");
    assert_eq!(changes_in_both(&same, USES), Some(false));
    let other = count(two("", once), "end__ 6");
    assert_eq!(changes_in_both(&other, USES), None);
    let words = two("", once).replace("__ 4", "__ four");
    assert_eq!(changes_in_both(&words, USES), None);
}

#[test]
fn any_bytes_are_taken() {
    for text in [
        "\"",
        "'\\",
        "}})",
        "((([{",
        "# 1",
        "\u{fffd}{};",
        "static inline",
    ] {
        let _ = affected(text.as_bytes(), b"int x;");
        let _ = affected(b"int x;", text.as_bytes());
        let _ = affected_in_both(two(text, text).as_bytes());
    }
}
