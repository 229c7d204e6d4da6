//! Replaced functions: facts, signatures, what is inlined where.

use super::*;
use crate::plan::Refusal;
use crate::semantic::{Palette, Scope, render};

#[test]
fn a_global_function_that_is_called_otherwise_is_for_review() {
    let source = "long f(int a DIFF) { return a + 1 + sizeof(\"DIFF\"); }";
    let report = compare(source, "", ", long b");
    assert_finding(
        &report,
        "signature-changed",
        Severity::Review,
        "was `long int f(int)`, is `long int f(int, long int)`; callers in other units",
    );
}

#[test]
fn a_static_function_that_is_called_otherwise_is_no_harm() {
    let source = "static __attribute__((noinline)) int f(int a DIFF) { use(&a); return a; }
        int g(int a) { return f(a CALL); }";
    let pre = format!("{ALLOCATORS}{source}")
        .replace("DIFF", "")
        .replace("CALL", "");
    let post = format!("{ALLOCATORS}{source}")
        .replace("DIFF", ", int *b")
        .replace("return a;", "return a + *b;")
        .replace("CALL", ", &a");
    let report = Unit::new(&pre, &post).report();
    assert_finding(&report, "signature-changed", Severity::Info, "it is static");
}

#[test]
fn a_variadic_function_is_called_otherwise() {
    let source = "int f(const char *s DIFF) { return *s + sizeof(\"DIFF\"); }";
    let report = compare(source, "", ", ...");
    assert_finding(
        &report,
        "signature-changed",
        Severity::Review,
        "is `int f(const char *, ...)`",
    );
}

#[test]
fn another_return_type_is_another_signature() {
    let source = "DIFF f(int a) { return a * 1L; }";
    let report = compare(source, "int", "long");
    assert_finding(
        &report,
        "signature-changed",
        Severity::Review,
        "is `long int f(int)`",
    );
}

const INLINED: &str = "
static inline __attribute__((always_inline)) int inner(int a)
{
	return a + DIFF;
}
int outer(int a)
{
	return inner(a) * 3;
}
static int pointed(int a)
{
	return inner(a) * 5;
}
int (*pointer)(int) = pointed;
int caller(int a)
{
	return outer(a + 2) * 7;
}
";

#[test]
fn a_reviewer_sees_what_absorbed_the_change() {
    let unit = Unit::new(&INLINED.replace("DIFF", "1"), &INLINED.replace("DIFF", "2"));
    let report = unit.touching(4, 4).report();
    let outer = report.functions.iter().find(|f| f.name == "outer").unwrap();
    assert_eq!(outer.absorbs, ["inner"]);
    assert_eq!((outer.file.as_str(), outer.line), (NAME, 6));
    assert_eq!(
        (outer.scope, outer.is_address_taken),
        (Scope::Global, false)
    );
    let pointed = report
        .functions
        .iter()
        .find(|f| f.name == "pointed")
        .unwrap();
    assert_eq!(
        (pointed.scope, pointed.is_address_taken),
        (Scope::Static, true)
    );
}

#[test]
fn what_a_kernel_thread_runs_is_told() {
    let source = "
void *kthread_create_on_node(int (*run)(void *), void *data, int node, const char *name);
void call(int (*run)(void *));
static int runs(void *data) { return *(int *)data DIFF; }
static int other(void *data) { return *(int *)data DIFF; }
void start(void) { kthread_create_on_node(runs, 0, -1, \"runs\"); }
void calls(void) { call(other); }
";
    let unit = Unit::new(&source.replace("DIFF", ""), &source.replace("DIFF", "* 3"));
    let report = unit.report();
    let found = finding(&report, "kernel-thread");
    assert_eq!(
        (found.object.as_str(), found.severity),
        ("runs", Severity::Review)
    );
    assert!(
        found.sentence.contains("that start starts"),
        "{}",
        found.sentence
    );
    let told = report.findings.iter().filter(|f| f.code == "kernel-thread");
    assert_eq!(told.count(), 1);
}

#[test]
fn initialisation_that_changes_by_what_it_uses_is_told() {
    let source = "static inline __attribute__((always_inline)) int inner(int a) { return a DIFF; }
        __attribute__((section(\".init.text\"))) int start(int a) { return inner(a); }";
    let pre = debug(&source.replace("DIFF", ""), "-gdwarf-5");
    let post = debug(&source.replace("DIFF", "+ 3"), "-gdwarf-5");
    let unit = Unit::differing(pre, post, Some(&["inner".to_owned()].into()));
    assert_eq!(unit.plan.refused, []);
    let found = finding(&unit.report(), "init-left").clone();
    assert_eq!(
        (found.object.as_str(), found.severity),
        ("start", Severity::Info)
    );
}

#[test]
fn an_exit_that_changes_alone_is_told() {
    let source = "__attribute__((section(\".exit.text\"))) int stop(int a) { return a DIFF; }";
    let mut unit = Unit::new(&source.replace("DIFF", ""), &source.replace("DIFF", "+ 3"));
    let report = unit.report();
    assert_eq!(finding(&report, "exit-changed").object, "stop");
    // Else a reviewer would read of a review where there is a refusal.
    let refusal = Refusal::new("exit-changed", "stop", "it needs a declaration".to_owned());
    unit.plan.refused.push(refusal);
    let report = unit.report();
    assert!(report.findings.iter().all(|f| f.code != "exit-changed"));
    assert!(render(&[unit.plan()], &report, Palette::Plain).contains("it needs a declaration"));
}

#[test]
fn an_absorber_with_the_same_code_is_told() {
    let source = "
static inline __attribute__((always_inline)) int inner(int flag, int a)
{
	use(&a);
	return flag ? a + DIFF : a;
}
int with(int a) { return inner(1, a); }
int without(int a) { return inner(0, a); }
";
    let source = format!("void use(void *p);{source}");
    let unit = Unit::new(&source.replace("DIFF", "1"), &source.replace("DIFF", "2"));
    let report = unit.touching(5, 5).report();
    let found = finding(&report, "inlined-unchanged");
    assert_eq!(found.object, "without");
    assert_eq!(found.severity, Severity::Info);
}

#[test]
fn a_function_that_differencing_missed_is_an_error() {
    let source = "int f(int a) { return a DIFF; } int g(int a) { return a DIFF; }";
    let mut unit = Unit::new(
        &source.replace("DIFF", ""),
        &source.replace("DIFF", "* 3 / 7"),
    );
    unit.plan.replaced.retain(|function| function.name != "g");
    let report = unit.report();
    assert_finding(&report, "inconsistent", Severity::NeedsCode, "g has");
}

#[test]
fn another_name_of_a_replaced_function_is_replaced_with_it() {
    let source = "static __attribute__((noinline)) int f(int a) { return a DIFF; }
        static int g(int a) __attribute__((alias(\"f\"), used));
        int h(int a) { return f(a); }";
    let unit = Unit::new(
        &source.replace("DIFF", ""),
        &source.replace("DIFF", "* 3 / 7"),
    );
    assert!(
        unit.plan
            .replaced
            .iter()
            .all(|function| function.name != "g")
    );
    let report = unit.report();
    assert!(
        report
            .findings
            .iter()
            .all(|found| found.code != "inconsistent")
    );
}

#[test]
fn locks_that_come_and_go_are_told() {
    let source = "void mutex_lock(void *); void mutex_unlock(void *);
        int f(int *p) { DIFF return *p; }";
    let both = "mutex_lock(p); use(p); mutex_unlock(p);";
    let report = compare(source, "use(p);", both);
    assert_finding(
        &report,
        "locking-changed",
        Severity::Info,
        "now calls mutex_lock, mutex_unlock",
    );
    let report = compare(source, both, "use(p); mutex_unlock(p);");
    assert_finding(
        &report,
        "locking-changed",
        Severity::Review,
        "no longer calls mutex_lock",
    );
}

#[test]
fn lines_that_move_are_no_finding() {
    let source = "DIFF struct s { int a; }; static int count;
        int f(struct s *s) { return s->a + ++count; } int g(int a) { return a + ONE; }";
    let text = |lines: &str, one: &str| source.replace("DIFF", lines).replace("ONE", one);
    let report = Unit::new(&text("", "1"), &text("\n\n", "2")).report();
    assert_eq!(report.functions.len(), 1);
    assert_eq!(report.findings, []);
}

#[test]
fn the_text_for_a_reviewer_is_as_kept() {
    let source = "
struct s { long a; int b; HOLE long c; };
enum state { IDLE, BUSY APPENDED };
void mutex_lock(void *); void mutex_unlock(void *);
static inline __attribute__((always_inline)) long sum(struct s *s)
{
	return s->a + s->b SUMMED;
}
long total(struct s *s) { return sum(s) * 3; }
long locked(struct s *s) { long n; LOCK n = sum(s) + s->c; UNLOCK return n; }
long both(struct s *s) { return total(s) + locked(s) + BUSY; }
void *make(void) { return kmalloc_trace(cache, ZEROED, sizeof(struct s)); }
";
    let fill = |values: [&str; 5]| {
        let names = ["HOLE", "APPENDED", "SUMMED", "UNLOCK", "LOCK"];
        let text = format!("{ALLOCATORS}{source}");
        let filled = names.iter().zip(values);
        filled.fold(text, |text, (name, value)| text.replace(name, value))
    };
    let post = [
        "bool n;",
        ", GONE",
        "+ s->n",
        "mutex_unlock(s);",
        "mutex_lock(s);",
    ];
    let unit = Unit::new(&fill([""; 5]), &fill(post)).touching(20, 20);
    let text = render(&[unit.plan()], &unit.report(), Palette::Plain);
    let kept = include_str!("report.txt");
    assert_eq!(text, kept, "\n{text}");
    let coloured = render(&[unit.plan()], &unit.report(), Palette::Colour);
    assert!(coloured.contains("\u{1b}["));
}
