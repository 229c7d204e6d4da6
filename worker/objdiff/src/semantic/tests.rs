#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod functions;
mod hostile;
mod layouts;
mod memory;
mod values;

use super::{Finding, LineRange, SemanticReport, Severity, UnitInput, report};
use crate::delta;
use crate::diff::UnitDiff;
use crate::plan::{Plan, UnitPlan};
use crate::testing::compile;
use std::collections::BTreeSet;

/// The unit's name, which is that of the file that the compiler is given.
const NAME: &str = "unit.c";
/// What code allocates with, as in the kernel after inlining.
const ALLOCATORS: &str = "
typedef unsigned long size_t;
typedef _Bool bool;
extern void *cache;
void *kmalloc_trace(void *cache, unsigned flags, size_t size);
void *__kmalloc(size_t size, unsigned flags);
void *kmem_cache_alloc(void *cache, unsigned flags);
void *kmem_cache_create(const char *name, unsigned size);
void *memset(void *p, int c, size_t n);
void use(void *p);
#define ZEROED 0xdc0
#define PLAIN 0xcc0
";

fn debug(source: &str, dwarf: &str) -> Vec<u8> {
    compile(
        source,
        &["-g", dwarf, "-ffunction-sections", "-fdata-sections"],
    )
}

/// A unit before and after.
struct Unit {
    plan: UnitPlan,
    pre: Vec<u8>,
    post: Vec<u8>,
    touched: Vec<LineRange>,
}

impl Unit {
    fn new(pre: &str, post: &str) -> Self {
        Self::differing(debug(pre, "-gdwarf-5"), debug(post, "-gdwarf-5"), None)
    }

    /// As differencing sees them that knows which functions the patch touches.
    fn differing(pre: Vec<u8>, post: Vec<u8>, functions: Option<&BTreeSet<String>>) -> Self {
        let input = delta::UnitInput {
            name: NAME,
            reference: &pre,
            pre: &pre,
            post: &post,
            touched: functions,
            ..delta::UnitInput::default()
        };
        Self {
            plan: UnitDiff::new(&input).unwrap().plan,
            pre,
            post,
            touched: Vec::new(),
        }
    }

    fn touching(mut self, first: u64, last: u64) -> Self {
        let file = NAME.to_owned();
        self.touched.push(LineRange { file, first, last });
        self
    }

    fn input(&self) -> UnitInput<'_> {
        UnitInput {
            plan: &self.plan,
            before: &self.pre,
            pre: &self.pre,
            post: &self.post,
            touched: &self.touched,
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            object: "vmlinux".to_owned(),
            units: vec![self.plan.clone()],
            ..Plan::default()
        }
    }

    fn report(&self) -> SemanticReport {
        report(&[self.input()]).unwrap()
    }
}

/// The report of one unit; `OLD` and `NEW` in the source are one or the other.
fn compare(source: &str, old: &str, new: &str) -> SemanticReport {
    let text = format!("{ALLOCATORS}{source}");
    Unit::new(&text.replace("DIFF", old), &text.replace("DIFF", new)).report()
}

/// The one finding of that code.
#[track_caller]
fn finding<'r>(report: &'r SemanticReport, code: &str) -> &'r Finding {
    let found: Vec<&Finding> = report.findings.iter().filter(|f| f.code == code).collect();
    assert_eq!(found.len(), 1, "{code}: {:#?}", report.findings);
    found[0]
}

#[track_caller]
fn assert_finding(report: &SemanticReport, code: &str, severity: Severity, says: &str) {
    let found = finding(report, code);
    assert_eq!(found.severity, severity, "{found}");
    assert!(found.sentence.contains(says), "{found}");
}
