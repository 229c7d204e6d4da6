//! Which functions of the reference objects are where they should be: in the
//! shipped file, by what the worker's matcher says, and in the memory of a
//! booted kernel, by what the core's report says.

use resplice_objdiff::filematch::{MatchReport, Status};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// How one function came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", content = "detail", rename_all = "kebab-case")]
pub enum Outcome {
    /// Byte for byte there, at one place.
    Matched,
    /// A weak definition whose name stands for another unit's function.
    OverriddenWeak,
    /// Its section is at several places that nothing tells apart.
    Ambiguous(String),
    /// Other bytes, or its section as a whole differs.
    Mismatch(String),
    /// Not in this kernel, or not reported.
    Missing(String),
}

/// A function of a reference object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Function {
    /// Source file.
    pub unit: String,
    /// Its section.
    pub section: String,
    /// Its name.
    pub name: String,
}

/// The functions of one kernel object and how each came out.
pub type Outcomes = BTreeMap<Function, Outcome>;

/// Sums over functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    /// Resident functions, overridden weak ones aside.
    pub functions: usize,
    /// Those that matched.
    pub matched: usize,
    /// Overridden weak ones.
    pub overridden_weak: usize,
}

impl Share {
    /// Adds one function.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::OverriddenWeak => self.overridden_weak += 1,
            Outcome::Matched => {
                self.functions += 1;
                self.matched += 1;
            }
            _ => self.functions += 1,
        }
    }

    /// Sums over several functions.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut share = Self::default();
        for outcome in outcomes {
            share.count(outcome);
        }
        share
    }

    /// Matched ones in percent; nothing to match is no success.
    pub fn percent(&self) -> f64 {
        match self.functions {
            0 => 0.0,
            functions => self.matched as f64 * 100.0 / functions as f64,
        }
    }
}

/// How the functions came out against the shipped file. Init functions, which
/// are freed after boot, are left out.
pub fn in_file(report: &MatchReport) -> Outcomes {
    let functions = report
        .units
        .iter()
        .flat_map(|unit| unit.functions.iter().map(move |function| (unit, function)));
    functions
        .filter_map(|(unit, function)| {
            let outcome = match &function.status {
                Status::Exact { .. } => Outcome::Matched,
                Status::OverriddenWeak { .. } => Outcome::OverriddenWeak,
                Status::Ambiguous { .. } => Outcome::Ambiguous(function.status.to_string()),
                Status::Alone { .. } | Status::Mismatch { .. } => {
                    Outcome::Mismatch(function.status.to_string())
                }
                Status::Init => return None,
            };
            let function = Function {
                unit: unit.name.clone(),
                section: function.section.clone(),
                name: function.name.clone(),
            };
            Some((function, outcome))
        })
        .collect()
}

/// How the functions came out in memory: `file` says which there are, and
/// which are overridden; `report` is the core's, on a match-only module.
pub fn in_memory(file: &Outcomes, report: &str) -> Outcomes {
    let said = Said::parse(report);
    file.iter()
        .map(|(function, in_file)| {
            let outcome = match (in_file, said.outcome(function)) {
                (Outcome::OverriddenWeak, _) => Outcome::OverriddenWeak,
                (_, outcome) => outcome,
            };
            (function.clone(), outcome)
        })
        .collect()
}

/// The core's report, by section and by function.
#[derive(Default)]
struct Said<'a> {
    /// `ambiguous:` and `missing:`, by unit and section.
    sections: HashMap<(&'a str, &'a str), Outcome>,
    functions: HashMap<(&'a str, &'a str, &'a str), Outcome>,
}

impl<'a> Said<'a> {
    fn parse(report: &'a str) -> Self {
        let mut said = Self::default();
        for line in report.lines() {
            let Some((code, rest)) = line.split_once(": ") else {
                continue;
            };
            let mut words = rest.splitn(4, ' ');
            let (Some(unit), Some(section)) = (words.next(), words.next()) else {
                continue;
            };
            let place = (unit, section.trim_end_matches(':'));
            match code {
                "ambiguous" => {
                    said.sections
                        .insert(place, Outcome::Ambiguous(rest.to_owned()));
                }
                "missing" => {
                    said.sections
                        .insert(place, Outcome::Missing(rest.to_owned()));
                }
                "function" => {
                    let (Some(name), Some(verdict)) = (words.next(), words.next()) else {
                        continue;
                    };
                    let outcome = match verdict {
                        "matched" => Outcome::Matched,
                        other => Outcome::Mismatch(other.to_owned()),
                    };
                    said.functions.insert((unit, section, name), outcome);
                }
                _ => {}
            }
        }
        said
    }

    /// A section that is nowhere or at several places speaks for its functions.
    fn outcome(&self, function: &Function) -> Outcome {
        let (unit, section) = (function.unit.as_str(), function.section.as_str());
        self.sections
            .get(&(unit, section))
            .or_else(|| self.functions.get(&(unit, section, &function.name)))
            .cloned()
            .unwrap_or_else(|| Outcome::Missing("the core's report does not name it".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(section: &str, name: &str) -> Function {
        Function {
            unit: "a.c".to_owned(),
            section: section.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn each_line_of_the_core_s_report_has_its_cause() {
        let report = "update: rsp_match_vmlinux\n\
            function: a.c .text one matched\n\
            function: a.c .text two mismatch +0x4 expected 90 found cc (other bytes)\n\
            function: a.c .text weak matched\n\
            ambiguous: a.c .twins matches at 2 places\n\
            function: a.c .twins twin mismatch +0x0 expected 00 found 01 (other bytes)\n\
            missing: a.c .gone: none of its functions is in this kernel\n\
            section: a.c .gone not found\n";
        let file: Outcomes = [
            (function(".text", "one"), Outcome::Matched),
            (function(".text", "two"), Outcome::Matched),
            (function(".text", "weak"), Outcome::OverriddenWeak),
            (function(".twins", "twin"), Outcome::Matched),
            (function(".gone", "gone"), Outcome::Matched),
            (function(".text", "unsaid"), Outcome::Matched),
        ]
        .into();
        let memory = in_memory(&file, report);
        let of = |section: &str, name: &str| &memory[&function(section, name)];
        assert_eq!(*of(".text", "one"), Outcome::Matched);
        assert!(matches!(of(".text", "two"), Outcome::Mismatch(text) if text.contains("found cc")));
        assert_eq!(*of(".text", "weak"), Outcome::OverriddenWeak);
        assert!(matches!(of(".twins", "twin"), Outcome::Ambiguous(_)));
        assert!(matches!(of(".gone", "gone"), Outcome::Missing(_)));
        assert!(matches!(of(".text", "unsaid"), Outcome::Missing(_)));
        let share = Share::of(memory.values());
        assert_eq!(
            (share.functions, share.matched, share.overridden_weak),
            (5, 1, 1)
        );
        assert!((share.percent() - 20.0).abs() < 1e-9);
    }

    #[test]
    fn matching_nothing_is_no_success() {
        assert!(Share::default().percent() < 1.0);
    }
}
