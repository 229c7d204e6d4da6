//! Updates of several kernel objects.
#![allow(clippy::unwrap_used)]

use super::tests::{FLAGS, HEAD, SPLIT, read, symvers};
use super::{Delta, Identity, ObjectInput, UnitInput, write_parts};
use crate::elf::Object;
use crate::linked::check_module;
use crate::plan::Outcome;
use crate::testing::compile;

const ID: &str = "rsp_test";

/// An object with its one unit, compiled.
struct Compiled {
    object: String,
    name: String,
    reference: Vec<u8>,
    pre: Vec<u8>,
    post: Vec<u8>,
}

impl Compiled {
    fn unit(&self) -> UnitInput<'_> {
        UnitInput {
            touched: None,
            declared: &[],
            name: &self.name,
            reference: &self.reference,
            pre: &self.pre,
            post: &self.post,
        }
    }
}

fn compiled(units: &[(&str, &str, &str)]) -> Vec<Compiled> {
    let of = |(object, pre, post): &(&str, &str, &str)| {
        let (pre, post) = (format!("{HEAD}{pre}"), format!("{HEAD}{post}"));
        Compiled {
            object: (*object).to_owned(),
            name: format!("{object}.c"),
            reference: compile(&pre, &FLAGS),
            pre: compile(&pre, &SPLIT),
            post: compile(&post, &SPLIT),
        }
    };
    units.iter().map(of).collect()
}

fn written(objects: &[Compiled]) -> Vec<Delta> {
    written_as(&identity(ID), objects)
}

fn written_as(identity: &Identity, objects: &[Compiled]) -> Vec<Delta> {
    let inputs: Vec<_> = objects
        .iter()
        .map(|compiled| ObjectInput {
            object: &compiled.object,
            units: vec![compiled.unit()],
        })
        .collect();
    write_parts(identity, &inputs, &symvers()).unwrap()
}

fn identity(id: &str) -> Identity {
    Identity::new(id).unwrap()
}

/// Writes an update of several kernel objects with a unit each.
fn parts_of(units: &[(&str, &str, &str)]) -> Vec<Delta> {
    written(&compiled(units))
}

/// The number and count that a part's header gives.
fn numbers(delta: &Delta) -> (u32, u32) {
    let file = Object::parse(delta.bytes.as_deref().unwrap()).unwrap();
    let section = file.section_named(".init.resplice.update").unwrap();
    let word = |at: usize| u32::from_le_bytes(section.bytes[at..at + 4].try_into().unwrap());
    let size = section.bytes.len();
    // Before the superseded updates, which end the header.
    (word(size - 24), word(size - 20))
}

const PLAIN: (&str, &str) = (
    "int f(int x) { return take(x) + 1; }",
    "int f(int x) { return take(x) + 2; }",
);

#[test]
fn each_object_that_changes_is_a_part_and_the_others_are_none() {
    let deltas = parts_of(&[
        ("vmlinux", PLAIN.0, PLAIN.1),
        ("alpha", PLAIN.0, PLAIN.0),
        ("beta", PLAIN.0, PLAIN.1),
    ]);
    assert_eq!(numbers(&deltas[0]), (0, 2));
    assert!(deltas[1].bytes.is_none());
    assert_eq!(numbers(&deltas[2]), (1, 2));
}

#[test]
fn one_refused_part_refuses_all() {
    let deltas = parts_of(&[
        ("vmlinux", PLAIN.0, PLAIN.1),
        (
            "alpha",
            "int a = 1; int f(int x) { return a++ + x; }",
            "int a = 2; int f(int x) { return a++ + x; }",
        ),
    ]);
    assert_eq!(deltas[1].plan.outcome(), Outcome::NeedsCode);
    assert!(deltas.iter().all(|delta| delta.bytes.is_none()));
}

const LENDS: &str = "int fresh(int x); int fresh(int x) { return take(x) * 3; } int f(int x) { return take(x) + 2; }";
const BORROWS: &str = "extern int fresh(int); int f(int x) { return fresh(x) + 1; }";

#[test]
fn a_module_calls_what_the_part_of_vmlinux_adds() {
    lent(LENDS);
}

#[test]
fn a_module_calls_it_where_modpost_makes_the_exports() {
    let export = "asm(\".section .export_symbol,\\\"a\\\"\\n__export_symbol_fresh:\\n\
        .asciz \\\"GPL\\\"\\n.asciz \\\"\\\"\\n.balign 8\\n.quad fresh\\n.previous\");";
    lent(&format!("{LENDS} {export}"));
}

/// A part for each of two objects, the first of which lends the second a function.
fn lent(lends: &str) {
    let objects = compiled(&[("vmlinux", PLAIN.0, lends), ("alpha", PLAIN.0, BORROWS)]);
    let deltas = written(&objects);
    assert_eq!(deltas[0].plan.offers, ["fresh"]);
    assert_eq!(deltas[1].plan.borrows, ["fresh"]);
    let lender = read(&deltas[0]);
    let exports = crate::elf::exports(&lender.file).unwrap();
    let fresh = lender
        .file
        .symbols
        .iter()
        .find(|s| s.name == "fresh")
        .unwrap();
    let place = (fresh.section().unwrap().0, fresh.value);
    assert_eq!(
        exports.into_iter().collect::<Vec<_>>(),
        [("rsp_test__fresh".to_owned(), place)]
    );
    assert_eq!(
        read(&deltas[1]).refers("f.rsp"),
        ["__fentry__", "rsp_test__fresh"]
    );
    for (delta, compiled) in deltas.iter().zip(&objects) {
        let bytes = delta.bytes.as_ref().unwrap();
        let units = [compiled.unit()];
        check_module(bytes, &identity(ID), &delta.plan, &units, &symvers()).unwrap();
        // Who neither lends nor borrows has no business with the name.
        let mut plan = delta.plan.clone();
        plan.offers.clear();
        plan.borrows.clear();
        assert!(check_module(bytes, &identity(ID), &plan, &units, &symvers()).is_err());
        assert!(
            check_module(
                bytes,
                &identity("rsp_other"),
                &delta.plan,
                &units,
                &symvers()
            )
            .is_err()
        );
    }
    assert!(deltas[0].plan.units[0].held.is_empty());
}

#[test]
fn a_module_that_hands_out_what_it_borrows_keeps_the_lender_loaded() {
    let keeps =
        "extern int fresh(int); int f(int x) { sink((const void *)fresh); return fresh(x); }";
    let deltas = parts_of(&[("vmlinux", PLAIN.0, LENDS), ("alpha", PLAIN.0, keeps)]);
    assert_eq!(deltas[0].plan.units[0].held, ["fresh"]);
}

#[test]
fn what_only_freed_code_would_call_is_not_lent() {
    let start = "extern int fresh(int); \
        int __attribute__((section(\".init.text\"))) start(int x) { return fresh(x); } ";
    let deltas = parts_of(&[
        ("vmlinux", PLAIN.0, LENDS),
        ("alpha", PLAIN.0, &format!("{start}{}", PLAIN.1)),
    ]);
    assert!(deltas[0].plan.offers.is_empty() && deltas[1].plan.borrows.is_empty());
    assert!(deltas.iter().all(|delta| delta.bytes.is_none()));
}

#[test]
fn what_a_module_adds_or_a_new_variable_is_refused_by_name() {
    let variable = "int fresh = 3; int f(int x) { return take(x) + fresh; }";
    let reads = "extern int fresh; int f(int x) { return fresh + x; }";
    for (lender, lends, user) in [("beta", LENDS, BORROWS), ("vmlinux", variable, reads)] {
        let deltas = parts_of(&[(lender, PLAIN.0, lends), ("alpha", PLAIN.0, user)]);
        assert_eq!(deltas[0].plan.outcome(), Outcome::Replace);
        let refused: Vec<_> = deltas[1].plan.refused().collect();
        assert_eq!(refused[0].code, "added-in-another-part");
        assert_eq!(refused[0].object, "fresh");
        assert!(deltas.iter().all(|delta| delta.bytes.is_none()));
    }
}

#[test]
fn every_part_names_the_updates_whose_place_it_takes() {
    let body = |value: u32| format!("int g(int); int f(void) {{ return g({value}) + 1; }}");
    let objects = compiled(&[("vmlinux", &body(1), &body(2))]);
    let others = ["rsp_first".to_owned(), "rsp_second".to_owned()];
    let superseding = Identity::superseding(ID, &others).unwrap();
    let deltas = written_as(&superseding, &objects);
    let bytes = deltas[0].bytes.as_ref().unwrap();
    let units = [objects[0].unit()];
    let check =
        |identity: &Identity| check_module(bytes, identity, &deltas[0].plan, &units, &symvers());
    check(&superseding).unwrap();
    for wrong in [&others[..1], &[]] {
        assert!(check(&Identity::superseding(ID, wrong).unwrap()).is_err());
    }
}
