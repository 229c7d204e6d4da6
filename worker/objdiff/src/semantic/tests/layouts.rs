//! Which changes of a layout are told, and which change nothing.

use super::*;
use crate::declare::{Declaration, DeclarationKind, Described};

/// A unit whose function reads member `x` of a type with these members.
fn members(old: &str, new: &str) -> SemanticReport {
    let source = "
struct inner { int p; int q; };
struct other { int p; int q; };
struct larger { long p; long q; };
struct s { int head; DIFF int tail; };
int f(struct s *s) { return s->head + s->tail + sizeof(DIFFER); }
";
    // The function changes in any case, so that the unit counts.
    let text = |members: &str, differ: &str| {
        format!("{ALLOCATORS}{source}")
            .replace("DIFFER", differ)
            .replace("DIFF", members)
    };
    Unit::new(&text(old, "int"), &text(new, "long")).report()
}

#[test]
fn a_member_in_the_middle_needs_code() {
    let report = members("long x;", "long y; long x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "struct s grows from 24 to 32 bytes: y (long int) is added at +8, x moves from +8 to +16",
    );
    let layout = finding(&report, "layout-changed").layout.clone().unwrap();
    assert_eq!((layout.old_size, layout.new_size), (24, 32));
    let added = &layout.members[0];
    assert_eq!((added.name.as_str(), &added.old), ("y", &None));
    let new = added.new.clone().unwrap();
    assert_eq!(
        (new.of.as_str(), new.bit_offset, new.bits),
        ("long int", 64, 64)
    );
}

#[test]
fn a_member_that_is_gone_needs_code() {
    let report = members("long x; long y;", "long x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "y (long int) at +16 is gone",
    );
}

#[test]
fn a_member_of_another_size_or_kind_needs_code() {
    let report = members("long x;", "short x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "x moves from +8 to +4 (was long int, is short int)",
    );
    let report = members("long x;", "void *x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "x was long int and is void *",
    );
    let report = members("int x[2];", "int x[1]; int y;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "x was int[2] and is int[1]",
    );
}

#[test]
fn a_pointer_to_something_else_needs_code() {
    let report = members("struct inner *x;", "struct larger *x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "x was struct inner * and is struct larger *",
    );
    let report = members("void *x;", "struct inner *x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "x was void *",
    );
}

#[test]
fn a_pointer_to_the_same_under_another_name_is_for_review() {
    let report = members("struct inner *x;", "struct other *x;");
    assert_finding(
        &report,
        "member-type-changed",
        Severity::Review,
        "the bytes are the same",
    );
}

#[test]
fn qualifiers_and_typedefs_change_nothing() {
    let report = members("long x;", "const volatile long x;");
    assert_eq!(report.findings, []);
    let report = members("unsigned long x;", "size_t x;");
    assert_eq!(report.findings, []);
}

#[test]
fn another_signedness_is_for_review() {
    let report = members("long x;", "unsigned long x;");
    assert_finding(
        &report,
        "member-type-changed",
        Severity::Review,
        "x was long int and is long unsigned int",
    );
}

#[test]
fn a_wrapping_that_goes_away_changes_nothing() {
    let report = members("struct inner x;", "int p; int q;");
    assert_finding(
        &report,
        "layout-equivalent",
        Severity::Info,
        "every scalar lies as before under its old name",
    );
    let group = "union { struct { int p; int q; }; struct { int p; int q; } group; };";
    let report = members("int p; int q;", group);
    assert_finding(
        &report,
        "layout-equivalent",
        Severity::Info,
        "under its old name",
    );
}

#[test]
fn a_wrapping_that_moves_something_needs_code() {
    let report = members("struct inner x;", "int q; int p;");
    assert_finding(&report, "layout-changed", Severity::NeedsCode, "is gone");
}

#[test]
fn another_name_at_the_same_place_is_for_review() {
    let report = members("long x;", "long y;");
    assert_finding(
        &report,
        "layout-equivalent",
        Severity::Review,
        "some under another name",
    );
}

#[test]
fn members_that_change_places_need_code() {
    let report = members("int x; int y;", "int y; int x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "y moves from +8 to +4",
    );
}

#[test]
fn a_bit_field_that_becomes_a_byte_needs_code() {
    let report = members("unsigned char x : 1;", "unsigned char x;");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "x was unsigned char:1 and is unsigned char",
    );
}

#[test]
fn bit_fields_lie_alike_in_both_versions_of_dwarf() {
    let source = "struct s { int a : 3; unsigned b : 7; long c : 33; unsigned char d : 1; };
        int f(struct s *s) { return s->a + s->b + s->c + s->d; }";
    let (four, five) = (debug(source, "-gdwarf-4"), debug(source, "-gdwarf-5"));
    let plan = UnitPlan {
        name: NAME.to_owned(),
        added: vec!["f".to_owned()],
        ..UnitPlan::default()
    };
    let input = UnitInput {
        plan: &plan,
        before: &four,
        pre: &four,
        post: &five,
        touched: &[],
    };
    assert_eq!(report(&[input]).unwrap().findings, []);
}

#[test]
fn what_only_moves_with_what_it_holds_is_told_once() {
    let source = "
struct part { int a; DIFF };
struct whole { int head; struct part part; int tail; };
int f(struct whole *w) { return w->tail + w->part.a; }";
    let report = compare(source, "", "long b;");
    let found = finding(&report, "layout-changed");
    assert_eq!(found.object, "struct part");
    assert!(found.sentence.ends_with("struct whole with it"), "{found}");
}

#[test]
fn another_way_to_call_a_callback_is_for_review() {
    let report = members("int (*x)(int);", "int (*x)(int, long);");
    assert_finding(
        &report,
        "callback-changed",
        Severity::Review,
        "x was int (*)(int) and is int (*)(int, long int)",
    );
}

#[test]
fn a_new_type_is_harmless() {
    let source = "int f(void *p) { DIFF }";
    let report = compare(
        source,
        "return 1;",
        "struct fresh { int a; } *s = p; return s->a;",
    );
    assert_finding(
        &report,
        "type-added",
        Severity::Info,
        "no running object has it",
    );
}

#[test]
fn a_union_with_another_alternative_needs_code() {
    let source = "union u { long a; DIFF }; long f(union u *u) { return u->a + sizeof(*u); }";
    let report = compare(source, "", "char pad[24];");
    assert_finding(
        &report,
        "layout-changed",
        Severity::NeedsCode,
        "union u grows",
    );
}

#[test]
fn an_author_can_declare_a_layout_dealt_with_but_not_another_one() {
    let declare = |tag: &str| {
        format!(
            "static const char ok[] __attribute__((section(\".resplice.declare\"), used)) = \"layout-ok:{tag}\";"
        )
    };
    let source = "struct s { long a; DIFF }; long f(struct s *s) { return s->a + sizeof(*s); }";
    let outcome = |declaration: &str| {
        let pre = source.replace("DIFF", "");
        let post = format!("{declaration} {}", source.replace("DIFF", "long b;"));
        let unit = Unit::new(&pre, &post);
        let (mut plan, mut report) = (unit.plan(), unit.report());
        report.apply_declarations(&mut [&mut plan], &[]);
        let refused: Vec<String> = plan.refused().map(|r| r.code.clone()).collect();
        (report.needs_code().count(), refused)
    };
    assert_eq!(outcome(""), (1, vec![]));
    assert_eq!(outcome(&declare("s")), (0, vec![]));
    assert_eq!(outcome(&declare("struct s")), (0, vec![]));
    let unneeded = vec!["unneeded-declaration".to_owned()];
    assert_eq!(outcome(&declare("t")), (1, unneeded));
}

#[test]
fn the_description_of_a_patch_names_the_file_of_a_layout_or_its_unit() {
    let source = "struct s { long a; DIFF }; long f(struct s *s) { return s->a + sizeof(*s); }";
    let unit = Unit::new(
        &source.replace("DIFF", ""),
        &source.replace("DIFF", "long b;"),
    );
    let written_in = finding(&unit.report(), "layout-changed").file.clone();
    let outcome = |file: &str, tag: &str| {
        let (mut plan, mut report) = (unit.plan(), unit.report());
        let described = Described {
            file: file.to_owned(),
            declaration: Declaration::described(DeclarationKind::LayoutOk, tag, "it is short"),
        };
        report.apply_declarations(&mut [&mut plan], &[described]);
        let refused: Vec<String> = plan.refused().map(|r| r.code.clone()).collect();
        let said = plan.units[0].declared[0].clone();
        assert_eq!(said.reason.as_deref(), Some("it is short"));
        assert_eq!(said.is_needed, refused.is_empty());
        (report.needs_code().count(), refused)
    };
    let unneeded = vec!["unneeded-declaration".to_owned()];
    assert_eq!(outcome(NAME, "s"), (0, vec![]));
    assert_eq!(outcome(&written_in, "s"), (0, vec![]));
    assert_eq!(outcome("other.c", "s"), (1, unneeded.clone()));
    assert_eq!(outcome(NAME, "t"), (1, unneeded));
}

#[test]
fn a_type_that_several_units_know_is_told_once() {
    let source = "struct s { long a; DIFF long b; }; long NAME(struct s *s) { return s->b; }";
    let unit = |name: &str| {
        let text = source.replace("NAME", name);
        Unit::new(&text.replace("DIFF", ""), &text.replace("DIFF", "long c;"))
    };
    let (one, other) = (unit("f"), unit("g"));
    let report = report(&[one.input(), other.input()]).unwrap();
    let found = finding(&report, "layout-changed");
    assert_eq!(found.severity, Severity::NeedsCode);
    assert_eq!(report.functions.len(), 2);
}
