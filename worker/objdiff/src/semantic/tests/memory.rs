//! When running objects can take the place of ones with a member more, and
//! everything that must keep it from being shown.

use super::*;

/// A type of 24 bytes with a hole of 4 at 12, and one who reads it. `DIFF` is
/// in the hole, `END` at its end, `MORE` are other functions.
const TYPE: &str = "
struct s { long a; int b; HOLE long c; END };
long f(struct s *s) { return s->a + s->b + s->c READ; }
void *make(void) { return kmalloc_trace(cache, ZEROED, sizeof(struct s)); }
";

fn hole_with(more: &str) -> SemanticReport {
    let text = format!("{ALLOCATORS}{TYPE}{more}").replace("END", "");
    Unit::new(
        &text.replace("HOLE", "").replace("READ", ""),
        &text.replace("HOLE", "bool n;").replace("READ", "+ s->n"),
    )
    .report()
}

fn growth_with(more: &str) -> SemanticReport {
    let text = format!("{ALLOCATORS}{TYPE}{more}").replace("HOLE", "");
    Unit::new(
        &text.replace("END", "").replace("READ", ""),
        &text.replace("END", "int n;").replace("READ", "+ s->n"),
    )
    .report()
}

#[track_caller]
fn assert_not_shown(report: &SemanticReport, why: &str) {
    assert_finding(report, "layout-changed", Severity::NeedsCode, why);
}

#[test]
fn a_hole_in_zeroed_objects_is_for_review() {
    let report = hole_with("");
    assert_finding(
        &report,
        "layout-grown",
        Severity::Review,
        "hold 0 there, in what was padding, since make zeroes them",
    );
}

#[test]
fn a_hole_in_objects_that_are_not_zeroed_needs_code() {
    let more = "void *more(void) { return kmalloc_trace(cache, PLAIN, sizeof(struct s)); }";
    assert_not_shown(
        &hole_with(more),
        "more() allocates memory that is not zeroed",
    );
    let more = "void *more(int n) { return __kmalloc(n, PLAIN); }";
    assert_not_shown(
        &hole_with(more),
        "more() allocates memory that is not zeroed",
    );
}

#[test]
fn flags_that_are_not_known_count_as_not_zeroing() {
    let more = "void *more(unsigned flags) { return kmalloc_trace(cache, flags, 24); }";
    assert_not_shown(&hole_with(more), "not zeroed");
    let more = "void *more(int x) { return kmalloc_trace(cache, x ? ZEROED : PLAIN, 24); }";
    assert_not_shown(&hole_with(more), "not zeroed");
}

#[test]
fn smaller_memory_need_not_be_zeroed() {
    let more = "void *more(void) { return kmalloc_trace(cache, PLAIN, 16); }";
    assert_finding(
        &hole_with(more),
        "layout-grown",
        Severity::Review,
        "make zeroes",
    );
}

#[test]
fn a_hole_in_objects_from_the_stack_needs_code() {
    let more = "void more(long a) { struct s s = { .a = a }; use(&s); }";
    assert_not_shown(&hole_with(more), "more() has one on its stack");
}

#[test]
fn a_type_that_nobody_is_seen_to_allocate_needs_code() {
    let source = TYPE.split("void *make").next().unwrap().replace("END", "");
    let report = compare(
        &source
            .replace("HOLE", "DIFF")
            .replace("READ", "+ sizeof(int [sizeof(\"DIFF\")])"),
        "",
        "bool n;",
    );
    assert_not_shown(&report, "no allocation of it is seen");
}

#[test]
fn a_size_that_is_handed_on_needs_code() {
    let more =
        "extern void *other(unsigned long); void *more(void) { return other(sizeof(struct s)); }";
    assert_not_shown(
        &hole_with(more),
        "more() uses the number 24, which may be its size",
    );
    let more = "unsigned long size_of_s = sizeof(struct s);";
    assert_not_shown(&hole_with(more), "holds a number that may be its size");
    let more = "void *more(void) { return kmem_cache_create(\"s\", sizeof(struct s)); }";
    assert_not_shown(&hole_with(more), "uses the number 24");
}

#[test]
fn setting_to_zero_is_no_other_use_of_a_size() {
    let more = "void more(struct s *s) { memset(s, 0, sizeof(*s)); }";
    let report = hole_with(more);
    assert_finding(&report, "layout-grown", Severity::Review, "make zeroes");
}

#[test]
fn a_copy_of_all_bytes_needs_code() {
    let more = "void more(struct s *s, const char *p) { __builtin_memcpy(s, p, sizeof(*s)); }";
    assert_not_shown(
        &hole_with(more),
        "more() stores more than one member at once",
    );
}

#[test]
fn a_member_that_zero_does_not_initialise_needs_code() {
    let source = format!("{ALLOCATORS}struct lock {{ int v; }};{TYPE}").replace("END", "");
    let report = Unit::new(
        &source.replace("HOLE", "").replace("READ", ""),
        &source
            .replace("HOLE", "struct lock n;")
            .replace("READ", "+ s->n.v"),
    )
    .report();
    assert_not_shown(
        &report,
        "n (struct lock) may need more than zero to begin with",
    );
}

#[test]
fn an_allocator_that_now_sets_the_member_needs_code() {
    let source = format!("{ALLOCATORS}{TYPE}").replace("END", "").replace(
        "return kmalloc_trace(cache, ZEROED, sizeof(struct s));",
        "struct s *s = kmalloc_trace(cache, ZEROED, sizeof(*s)); SET return s;",
    );
    let report = Unit::new(
        &source
            .replace("HOLE", "")
            .replace("READ", "")
            .replace("SET", ""),
        &source
            .replace("HOLE", "bool n;")
            .replace("READ", "+ s->n")
            .replace("SET", "s->n = 1;"),
    )
    .report();
    assert_not_shown(
        &report,
        "make() allocates it and may give the new member another value",
    );
}

#[test]
fn growth_in_the_same_slab_class_is_for_review() {
    assert_finding(
        &growth_with(""),
        "layout-grown",
        Severity::Review,
        "grows from 24 to 32 bytes: n (int) is added at +24; objects that exist now hold 0 there, in the 32 bytes",
    );
}

#[test]
fn growth_into_another_slab_class_needs_code() {
    let text = format!("{ALLOCATORS}{TYPE}").replace("HOLE", "");
    let report = Unit::new(
        &text.replace("END", "").replace("READ", ""),
        &text
            .replace("END", "long n[2];")
            .replace("READ", "+ s->n[0]"),
    )
    .report();
    assert_not_shown(&report, "it no longer fits the memory");
}

#[test]
fn growth_of_what_others_hold_needs_code() {
    let more =
        "struct holder { struct s s; int last; }; int g(struct holder *h) { return h->last; }";
    assert_not_shown(&growth_with(more), "struct holder with it");
    let more =
        "struct holder { int first; struct s s; }; int g(struct holder *h) { return h->first; }";
    assert_not_shown(&growth_with(more), "struct holder");
    let more = "struct s all[4]; void g(int i) { use(&all[i]); }";
    assert_not_shown(&growth_with(more), "holds it by value");
    let more = "struct s one; void g(void) { use(&one); }";
    assert_not_shown(&growth_with(more), "one is one that was not allocated");
}

#[test]
fn growth_of_what_does_not_come_from_a_general_cache_needs_code() {
    let more = "extern void *vzalloc(unsigned long); void *more(void) { return vzalloc(sizeof(struct s)); }";
    assert_not_shown(
        &growth_with(more),
        "more() allocates it, but not from a general slab cache",
    );
    let more = "void *more(void) { return kmem_cache_alloc(cache, PLAIN); }";
    assert_not_shown(&growth_with(more), "not zeroed");
}

#[test]
fn growth_that_others_add_to_needs_code() {
    let more = "void *more(void) { return kmalloc_trace(cache, ZEROED, sizeof(struct s) + 40); }";
    assert_not_shown(
        &growth_with(more),
        "more() allocates memory whose size may depend on it",
    );
}

#[test]
fn another_unit_that_knows_the_type_has_a_say() {
    let text = format!("{ALLOCATORS}{TYPE}").replace("END", "");
    let changed = Unit::new(
        &text.replace("HOLE", "").replace("READ", ""),
        &text.replace("HOLE", "bool n;").replace("READ", "+ s->n"),
    );
    let other = |allocates: &str| {
        let source = format!("{text} void *more(void) {{ return {allocates}; }}")
            .replace("HOLE", "")
            .replace("READ", "");
        Unit::new(&source, &source)
    };
    let plain = other("kmalloc_trace(cache, PLAIN, sizeof(struct s))");
    let report_of = |unit: &Unit| report(&[changed.input(), unit.input()]).unwrap();
    assert_not_shown(
        &report_of(&plain),
        "more() allocates memory that is not zeroed",
    );
    let zeroed = other("kmalloc_trace(cache, ZEROED, sizeof(struct s))");
    let report = report_of(&zeroed);
    assert_finding(
        &report,
        "layout-grown",
        Severity::Review,
        "since make, more zeroes",
    );
}
