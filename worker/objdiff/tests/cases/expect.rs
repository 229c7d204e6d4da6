//! What a case's comment says, and whether it came out.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Failed;
use resplice_objdiff::declare::{Declaration, DeclarationKind};
use resplice_objdiff::delta::Delta;
use resplice_objdiff::plan::{Outcome, UnitPlan};

use crate::delta::Contents;

/// Facts that must be as the case says; what it does not say must be empty.
const PLAN: [&str; 13] = [
    "outcome",
    "replaced",
    "added",
    "removed",
    "exchanged",
    "held",
    "unexported",
    "events",
    "data",
    "init",
    "exit",
    "exit-left",
    "refused",
];
/// Facts about the delta that are compared only if the case says them:
/// `late: NAME…` are symbols that the core resolves, `late-in: SECTION…` where,
/// `imports: NAME…` what the module loader resolves, `has: NAME…` symbols that
/// are in it, `lacks: NAME…` that are not, `table: NAME COUNT` its entries.
const DELTA: [&str; 6] = ["late", "late-in", "imports", "has", "lacks", "table"];
/// A part of the error's text, for what is no kernel code at all.
const ERROR: &str = "error";

type Facts = BTreeMap<&'static str, BTreeSet<String>>;

/// A case's comment.
pub struct Expected {
    /// `flags:`, for the compiler.
    pub flags: Vec<String>,
    /// `exports:`, more symbols that the kernel exports.
    pub exports: Vec<String>,
    /// `touched:`, functions whose source the patch touches, if that is known.
    pub touched: Option<BTreeSet<String>>,
    /// `declared: WORD NAME`, what the patch's description says of the unit.
    pub declared: Vec<Declaration>,
    /// `object:`, if not vmlinux.
    pub object: String,
    facts: Facts,
}

/// What came out.
pub struct Found {
    facts: Facts,
    contents: Option<Contents>,
}

fn declared(value: &str) -> Result<Declaration, Failed> {
    let (word, name) = value.split_once(' ').ok_or("declared: WORD NAME")?;
    let kind = DeclarationKind::of(word).ok_or("declared: no such word")?;
    Ok(Declaration::described(kind, name, "the case says so"))
}

impl Expected {
    /// Reads the first comment of a file.
    pub fn parse(text: &str) -> Result<Self, Failed> {
        let comment = text
            .strip_prefix("/*")
            .and_then(|rest| rest.split_once("*/"))
            .map(|(comment, _)| comment)
            .ok_or("the file does not begin with a comment")?;
        let mut expected = Self {
            flags: Vec::new(),
            exports: Vec::new(),
            touched: None,
            declared: Vec::new(),
            object: "vmlinux".to_owned(),
            facts: Facts::new(),
        };
        for line in comment.lines() {
            let line = line.trim().trim_start_matches('*').trim();
            let Some((key, value)) = line.split_once(": ") else {
                continue;
            };
            let words = value.split_whitespace().map(str::to_owned);
            let known = PLAN.iter().chain(&DELTA).chain([&ERROR]);
            match (key, known.into_iter().find(|k| **k == key)) {
                ("flags", _) => expected.flags.extend(words),
                ("exports", _) => expected.exports.extend(words),
                ("touched", _) => expected.touched = Some(words.collect()),
                ("object", _) => expected.object = value.to_owned(),
                ("declared", _) => expected.declared.push(declared(value)?),
                (_, Some(&key @ ("refused" | "table" | ERROR))) => {
                    let fact = words.collect::<Vec<_>>().join(" ");
                    expected.facts.entry(key).or_default().insert(fact);
                }
                (_, Some(key)) => expected.facts.entry(key).or_default().extend(words),
                (_, None) if key.contains(' ') => {}
                _ => return Err(format!("unknown fact {key:?}").into()),
            }
        }
        if expected.facts.contains_key("outcome") == expected.facts.contains_key(ERROR) {
            return Err("a case has an outcome or an error".into());
        }
        Ok(expected)
    }

    /// Compares.
    pub fn check(&self, found: &Found) -> Result<(), Failed> {
        let empty = BTreeSet::new();
        let mut wrong = Vec::new();
        let mut compare = |key: &str, want: &BTreeSet<String>, is: &BTreeSet<String>| {
            if want != is {
                wrong.push(format!("{key}: {is:?} instead of {want:?}"));
            }
        };
        for key in PLAN {
            let want = self.facts.get(key).unwrap_or(&empty);
            compare(key, want, found.facts.get(key).unwrap_or(&empty));
        }
        let errors: Vec<&String> = found.facts.get(ERROR).into_iter().flatten().collect();
        for part in self.facts.get(ERROR).into_iter().flatten() {
            if !errors.iter().any(|error| error.contains(part.as_str())) {
                wrong.push(format!("no error with {part:?}"));
            }
        }
        if !self.facts.contains_key(ERROR) {
            wrong.extend(errors.into_iter().cloned());
        }
        for key in DELTA {
            match (self.facts.get(key), &found.contents) {
                (None, _) => {}
                (Some(want), Some(contents)) => wrong.extend(contents.check(key, want)),
                (Some(_), None) => wrong.push(format!("{key}: there is no delta")),
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(wrong.join("\n").into())
    }
}

impl Found {
    /// What a delta and its plan say.
    pub fn new(delta: &Delta) -> Result<Self, Failed> {
        let mut facts = Facts::new();
        let outcome = match delta.plan.outcome() {
            Outcome::Replace => "replace",
            Outcome::Nothing => "nothing",
            Outcome::NeedsCode => "needs-code",
            Outcome::Refused => "refused",
        };
        facts.insert("outcome", BTreeSet::from([outcome.to_owned()]));
        for unit in &delta.plan.units {
            for (key, names) in names(unit) {
                facts.entry(key).or_default().extend(names);
            }
        }
        let contents = delta.bytes.as_deref().map(Contents::read).transpose()?;
        if contents.is_some() != (outcome == "replace") {
            return Err("outcome and delta do not go together".into());
        }
        Ok(Self { facts, contents })
    }

    /// An error instead of a delta.
    pub fn error(sentence: &str) -> Self {
        Self {
            facts: Facts::from([(ERROR, BTreeSet::from([sentence.to_owned()]))]),
            contents: None,
        }
    }
}

fn names(unit: &UnitPlan) -> [(&'static str, Vec<String>); 12] {
    let refused = unit.refused.iter();
    [
        (
            "replaced",
            unit.replaced.iter().map(|r| r.name.clone()).collect(),
        ),
        ("added", unit.added.clone()),
        ("removed", unit.removed.clone()),
        (
            "data",
            unit.data_added.iter().map(|d| d.name.clone()).collect(),
        ),
        (
            "exchanged",
            unit.exchanged.iter().map(|e| e.name.clone()).collect(),
        ),
        ("held", unit.held.clone()),
        ("unexported", unit.exports_left.clone()),
        ("events", unit.events_left.clone()),
        ("init", unit.init_changed.clone()),
        ("exit", unit.exit_changed.clone()),
        ("exit-left", unit.exit_left.clone()),
        (
            "refused",
            refused
                .map(|r| format!("{} {}", r.code, r.object))
                .collect(),
        ),
    ]
}
