//! What came of a match, for people and machines.

use std::fmt;

use serde::Serialize;

use super::matcher::{Difference, Matcher, Placement};
use super::search::MAX_CANDIDATES;
use crate::image::records::{Function, Role, SYMBOL_FUNC, Section};

/// Outcome for one function or section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// Found at exactly one place.
    Exact {
        /// Its address in the file.
        address: u64,
    },
    /// A weak definition that another unit overrides. Its bytes are there.
    OverriddenWeak {
        /// Its address in the file.
        address: u64,
        /// The address its name stands for.
        by: u64,
    },
    /// Equal, but its section as a whole is not: it alone is at one place.
    Alone {
        /// Its address in the file.
        address: u64,
    },
    /// Found at several places that nothing tells apart.
    Ambiguous {
        /// How many; more than [`MAX_CANDIDATES`] if the search was given up.
        candidates: usize,
    },
    /// Not there.
    Mismatch {
        /// First difference, in bytes from the section's start.
        offset: u32,
        /// Reference bytes or value.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Freed after boot; not looked for.
    Init,
}

/// One function.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionReport {
    /// Its name.
    pub name: String,
    /// Its section.
    pub section: String,
    /// Bytes from the section's start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Outcome.
    #[serde(flatten)]
    pub status: Status,
}

/// One text section.
#[derive(Clone, Debug, Serialize)]
pub struct SectionReport {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// Outcome for the whole of it, padding included.
    #[serde(flatten)]
    pub status: Status,
}

/// One unit.
#[derive(Clone, Debug, Serialize)]
pub struct UnitReport {
    /// Its name.
    pub name: String,
    /// Its text sections.
    pub sections: Vec<SectionReport>,
    /// Its functions.
    pub functions: Vec<FunctionReport>,
}

/// All of a match.
#[derive(Clone, Debug, Serialize)]
pub struct MatchReport {
    /// "vmlinux" or the module's name.
    pub object: String,
    /// By unit.
    pub units: Vec<UnitReport>,
    /// Sums.
    pub summary: Summary,
}

/// How many functions came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Resident functions.
    pub functions: usize,
    /// Exact, overridden weak ones aside.
    pub exact: usize,
    /// Weak and overridden, with equal bytes.
    pub overridden_weak: usize,
    /// Equal only apart from their section.
    pub alone: usize,
    /// At several places.
    pub ambiguous: usize,
    /// Not there.
    pub mismatch: usize,
    /// Not resident.
    pub init: usize,
    /// Text sections.
    pub sections: usize,
    /// Text sections found as one piece.
    pub whole_sections: usize,
}

impl Summary {
    /// Exact ones among the functions that no other unit overrides, in percent.
    pub fn exact_percent(&self) -> f64 {
        let of = self.functions - self.overridden_weak;
        if of == 0 {
            100.0
        } else {
            self.exact as f64 * 100.0 / of as f64
        }
    }

    /// Whether every function was found.
    pub fn is_clean(&self) -> bool {
        self.alone + self.ambiguous + self.mismatch == 0 && self.sections == self.whole_sections
    }
}

pub(super) fn build(matcher: &Matcher<'_>) -> MatchReport {
    let image = matcher.image;
    let units = image
        .units
        .iter()
        .enumerate()
        .map(|(index, name)| unit(matcher, index as u32, image.name(*name)))
        .collect::<Vec<_>>();
    let mut summary = Summary::default();
    for unit in &units {
        for section in &unit.sections {
            summary.sections += 1;
            summary.whole_sections += usize::from(matches!(section.status, Status::Exact { .. }));
        }
        for function in &unit.functions {
            let count = match function.status {
                Status::Exact { .. } => &mut summary.exact,
                Status::OverriddenWeak { .. } => &mut summary.overridden_weak,
                Status::Alone { .. } => &mut summary.alone,
                Status::Ambiguous { .. } => &mut summary.ambiguous,
                Status::Mismatch { .. } => &mut summary.mismatch,
                Status::Init => &mut summary.init,
            };
            *count += 1;
            summary.functions += usize::from(function.status != Status::Init);
        }
    }
    MatchReport {
        object: image.name(image.object).to_owned(),
        units,
        summary,
    }
}

fn unit(matcher: &Matcher<'_>, unit: u32, name: &str) -> UnitReport {
    let image = matcher.image;
    let mut report = UnitReport {
        name: name.to_owned(),
        sections: Vec::new(),
        functions: Vec::new(),
    };
    for (index, section) in image.sections.iter().enumerate() {
        if section.unit != unit || section.role != Role::Text {
            continue;
        }
        let section_name = image.name(section.name).to_owned();
        report.sections.push(SectionReport {
            name: section_name.clone(),
            size: section.size,
            status: section_status(matcher, index, section),
        });
        for function in section.functions.of(&image.functions) {
            let symbol = image.symbols.get(function.symbol as usize);
            report.functions.push(FunctionReport {
                name: symbol.map_or("", |s| image.name(s.name)).to_owned(),
                section: section_name.clone(),
                offset: function.offset,
                size: function.size,
                status: function_status(matcher, index, section, function),
            });
        }
    }
    for symbol in image
        .symbols
        .iter()
        .filter(|s| s.unit == unit && s.flags & SYMBOL_FUNC != 0)
    {
        let Some(section) = image.sections.get(symbol.section as usize) else {
            continue;
        };
        if section.role == Role::Init {
            report.functions.push(FunctionReport {
                name: image.name(symbol.name).to_owned(),
                section: image.name(section.name).to_owned(),
                offset: symbol.value,
                size: symbol.size,
                status: Status::Init,
            });
        }
    }
    report
}

fn mismatch(difference: Option<Difference>) -> Status {
    match difference {
        Some(d) => Status::Mismatch {
            offset: d.offset,
            expected: d.expected,
            found: d.found,
        },
        None => Status::Mismatch {
            offset: 0,
            expected: "code that occurs in the file".to_owned(),
            found: "nothing like it".to_owned(),
        },
    }
}

fn section_status(matcher: &Matcher<'_>, index: usize, section: &Section) -> Status {
    match matcher.placements[index] {
        Placement::Placed(address) => Status::Exact { address },
        Placement::Ambiguous(candidates) => Status::Ambiguous { candidates },
        Placement::Missing(guess) => {
            mismatch(guess.and_then(|base| matcher.difference(section, base, 0, section.size)))
        }
        Placement::Open => mismatch(None),
    }
}

fn function_status(
    matcher: &Matcher<'_>,
    index: usize,
    section: &Section,
    function: &Function,
) -> Status {
    let (start, end) = (
        function.offset,
        function.offset.saturating_add(function.size),
    );
    let base = match matcher.placements[index] {
        Placement::Placed(base) => base,
        Placement::Ambiguous(candidates) => return Status::Ambiguous { candidates },
        Placement::Open => return mismatch(None),
        Placement::Missing(guess) => {
            let difference =
                guess.map(|base| (base, matcher.difference(section, base, start, end)));
            return match (difference, matcher.find_alone(section, start, end)) {
                (Some((base, None)), _) | (_, Some(base)) => Status::Alone {
                    address: base.wrapping_add(u64::from(start)),
                },
                (Some((_, difference)), None) => mismatch(difference),
                (None, None) => mismatch(None),
            };
        }
    };
    let address = base.wrapping_add(u64::from(start));
    match matcher.value_of(function.symbol) {
        Some(by) if by != address => Status::OverriddenWeak { address, by },
        _ => Status::Exact { address },
    }
}

/// Functions of one unit that the text names one by one.
const LISTED: usize = 20;

impl fmt::Display for MatchReport {
    /// The exceptions, one a line, and the sums.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for unit in &self.units {
            for section in &unit.sections {
                if !matches!(section.status, Status::Exact { .. }) {
                    writeln!(
                        f,
                        "{} {}: section {}",
                        unit.name, section.name, section.status
                    )?;
                }
            }
            let told = unit.functions.iter().filter(|f| {
                !matches!(
                    f.status,
                    Status::Exact { .. } | Status::Alone { .. } | Status::Init
                )
            });
            let count = told.clone().count();
            for function in told.take(LISTED) {
                writeln!(f, "{} {}: {}", unit.name, function.name, function.status)?;
            }
            if count > LISTED {
                writeln!(f, "{}: and {} more", unit.name, count - LISTED)?;
            }
        }
        let s = &self.summary;
        writeln!(
            f,
            "{}: {} functions, {} exact ({:.2} %), {} overridden weak, {} alone, {} ambiguous, {} mismatched; {} of {} text sections whole; {} init functions not looked for",
            self.object,
            s.functions,
            s.exact,
            s.exact_percent(),
            s.overridden_weak,
            s.alone,
            s.ambiguous,
            s.mismatch,
            s.whole_sections,
            s.sections,
            s.init
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { address } => write!(f, "exact at {address:#x}"),
            Self::OverriddenWeak { address, by } => {
                write!(f, "overridden weak: bytes at {address:#x}, name at {by:#x}")
            }
            Self::Alone { address } => write!(f, "equal at {address:#x}, but not its section"),
            Self::Ambiguous { candidates } if *candidates > MAX_CANDIDATES => {
                write!(f, "ambiguous: more than {MAX_CANDIDATES} places")
            }
            Self::Ambiguous { candidates } => write!(f, "ambiguous: {candidates} places"),
            Self::Mismatch {
                offset,
                expected,
                found,
            } => {
                write!(
                    f,
                    "mismatch at +{offset:#x}: expected {expected}; found {found}"
                )
            }
            Self::Init => write!(f, "init"),
        }
    }
}
