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
    }
}
