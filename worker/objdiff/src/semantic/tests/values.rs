//! Enumerators and variables.

use super::*;

#[test]
fn an_appended_enumerator_is_no_harm() {
    let source = "enum e { A, B DIFF }; int f(enum e e) { return e == B + sizeof(\"DIFF\"); }";
    let report = compare(source, "", ", C");
    assert_finding(&report, "enum-grown", Severity::Info, "gains C = 2");
}

#[test]
fn an_enumerator_with_another_number_needs_code() {
    let source = "enum e { A, DIFF B }; int f(enum e e) { return e == B; }";
    let report = compare(source, "", "N,");
    assert_finding(
        &report,
        "enum-renumbered",
        Severity::NeedsCode,
        "B was 1 and is 2",
    );
    assert_eq!(finding(&report, "enum-renumbered").object, "enum e");
}

#[test]
fn an_enumerator_with_a_number_that_is_in_use_is_for_review() {
    let source =
        "enum e { A = 0, B = 1 DIFF }; int f(enum e e) { return e == B + sizeof(\"DIFF\"); }";
    let report = compare(source, "", ", C = 1");
    assert_finding(
        &report,
        "enum-grown",
        Severity::Review,
        "for another constant",
    );
}

#[test]
fn a_variable_of_another_kind_needs_code() {
    let source = "
struct a { int x; }; struct b { long x; };
static DIFF *p; void set(void *q) { p = q; } long f(void) { return p->x; }";
    let report = compare(source, "struct a", "struct b");
    assert_finding(
        &report,
        "variable-type-changed",
        Severity::NeedsCode,
        "was struct a *, is struct b *; the running value stays and has the old type",
    );
}

#[test]
fn a_variable_of_another_signedness_is_for_review() {
    let source = "static DIFF v; void set(int n) { v = n; } int f(void) { return v / 2; }";
    let report = compare(source, "int", "unsigned");
    assert_finding(
        &report,
        "variable-type-changed",
        Severity::Review,
        "the running value stays",
    );
}

#[test]
fn a_static_local_that_moves_is_for_review() {
    let source = |f: &str, g: &str| {
        format!("int f(int n) {{ {f} return n; }} int g(int n) {{ {g} return n; }}")
    };
    let body = "static int count; count += n; n = count;";
    let report = Unit::new(&source(body, ""), &source("", body)).report();
    assert_finding(
        &report,
        "static-moved",
        Severity::Review,
        "moved from f() to g()",
    );
}

#[test]
fn read_only_data_is_left_to_differencing() {
    let source = "static const char text[] = DIFF; const char *f(void) { return text; }";
    let report = compare(source, "\"a\"", "\"longer\"");
    assert_eq!(report.findings, []);
}
