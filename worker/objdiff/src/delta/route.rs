//! Who resolves a reference of the new code: the linker, the kernel's module
//! loader, or the core once it has matched the running kernel.

use crate::atoms::{Atom, AtomId, Entry, Link, Target};
use crate::diff::{Role, State, role};
use crate::elf::{Binding, Definition, SectionKind};
use crate::names::offered_name;
use crate::plan::Refusal;
use crate::sites::alternative_fields;

use super::collect::Set;

/// An atom of post: unit and atom.
pub(super) type Ref = (usize, AtomId);

/// The way of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To an atom in the delta.
    Local(Ref),
    /// To an export, which the module loader resolves.
    Import(String),
    /// To a symbol of a unit's reference object.
    Late(usize, String),
    /// To a symbol of another unit that nothing exports.
    LateExternal(String),
}

impl Route {
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Late(..) | Self::LateExternal(_))
    }
}

/// Where a link stands.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub unit: usize,
    pub atom: AtomId,
    pub entry: Option<&'a Entry>,
}

impl Set<'_> {
    /// The way of a link, or why it can't be carried over.
    pub fn route(&self, origin: Origin<'_>, link: &Link) -> Result<Route, Refusal> {
        let route = self.destination(origin, link)?;
        if route.is_late() {
            self.check_late(origin, link, &route)?;
        }
        Ok(route)
    }

    fn destination(&self, origin: Origin<'_>, link: &Link) -> Result<Route, Refusal> {
        match link.target {
            Target::Atom(target) => self.to_atom(origin, link, (origin.unit, target)),
            Target::External(symbol) => {
                let symbol = self.units[origin.unit].post.object.symbol(symbol);
                self.to_symbol(
                    origin,
                    link,
                    &symbol.name,
                    symbol.binding,
                    symbol.definition,
                )
            }
        }
    }

    fn to_atom(&self, origin: Origin<'_>, link: &Link, to: Ref) -> Result<Route, Refusal> {
        let diff = &self.units[to.0];
        let label = diff.post.label(to.1);
        let kind = diff.post.atoms[to.1].kind;
        if diff.ambiguous.contains(&to.1) {
            return Err(Refusal::new(
                "ambiguous-static",
                &label,
                format!(
                    "{label} may be one of several variables of that name in the running kernel"
                ),
            ));
        }
        match diff.states[to.1] {
            State::Content => Ok(Route::Local(to)),
            State::Added => match role(kind) {
                Role::Code | Role::Data | Role::StaticCall => Ok(Route::Local(to)),
                // The tracepoint itself with its name, whose records are left out.
                Role::Other(..)
                    if ["__tracepoints", "__tracepoints_strings"]
                        .contains(&diff.post.section_of(to.1).name.as_str()) =>
                {
                    Ok(Route::Local(to))
                }
                Role::Other(code, what) => Err(diff.new_record(code, what, to.1)),
                _ => Err(self.unusable(origin, &label)),
            },
            State::Changed(was) if matches!(role(kind), Role::Code) => {
                if self.reaches_new_code(origin, link, to) {
                    return Ok(Route::Local(to));
                }
                if link.target_offset() != 0 {
                    let from = self.units[origin.unit].post.label(origin.atom);
                    let sentence =
                        format!("{from} refers into the middle of {label}, whose code is replaced");
                    return Err(Refusal::new("inside-changed-code", label, sentence));
                }
                self.late(to.0, was, &label)
            }
            State::Same(was) | State::Changed(was) => {
                if kind.is_init() {
                    return Err(self.unusable(origin, &label));
                }
                self.late(to.0, was, &label)
            }
        }
    }

    /// Calls and jumps go straight to a replacement, and so does what its own
    /// parts and tables say about its inside. A function's address, however,
    /// stays that of the running one: it compares equal to the address that
    /// others hold, and does not dangle once the update is undone.
    fn reaches_new_code(&self, origin: Origin<'_>, link: &Link, to: Ref) -> bool {
        let post = &self.units[to.0].post;
        let body = |id: AtomId| post.atoms[id].parent.unwrap_or(id);
        let is_part = post.atoms[to.1].parent.is_some();
        let inside = link.target_offset() != 0
            && to.0 == origin.unit
            && (body(origin.atom) == body(to.1) || post.atoms[origin.atom].is_content);
        link.is_branch || origin.entry.is_some() || is_part || inside
    }

    /// The way to an atom of pre.
    pub(super) fn late(&self, unit: usize, was: AtomId, label: &str) -> Result<Route, Refusal> {
        self.units[unit]
            .reference_name(was)
            .map(|name| Route::Late(unit, name.to_owned()))
            .ok_or_else(|| {
                Refusal::new(
                    "unmatched-reference",
                    label,
                    format!("{label} is not to be found in the object compiled as the kernel was"),
                )
            })
    }

    fn unusable(&self, origin: Origin<'_>, label: &str) -> Refusal {
        let from = self.units[origin.unit].post.label(origin.atom);
        Refusal::new(
            "init-reference",
            label,
            format!(
                "{from} refers to {label}, which the kernel has freed or reads only when it is loaded"
            ),
        )
    }

    fn to_symbol(
        &self,
        origin: Origin<'_>,
        link: &Link,
        name: &str,
        binding: Binding,
        definition: Definition,
    ) -> Result<Route, Refusal> {
        for (unit, diff) in self.units.iter().enumerate() {
            if let Some(id) = diff.post.global(name) {
                return self.to_atom(origin, link, (unit, id));
            }
        }
        if self.imports(name) {
            return Ok(Route::Import(name.to_owned()));
        }
        if self.borrows.contains(name) {
            return Ok(Route::Import(offered_name(self.id, name)));
        }
        if definition == Definition::Absolute || binding == Binding::Weak {
            return Err(Refusal::new(
                "weak-reference",
                name,
                format!(
                    "{name} may be undefined in the running kernel (a weak or absolute symbol)"
                ),
            ));
        }
        Ok(Route::LateExternal(name.to_owned()))
    }

    fn check_late(&self, origin: Origin<'_>, link: &Link, route: &Route) -> Result<(), Refusal> {
        let (Route::Late(_, name) | Route::LateExternal(name)) = route else {
            return Ok(());
        };
        let post = &self.units[origin.unit].post;
        let atom = &post.atoms[origin.atom];
        let refuse =
            |code: &str, sentence: String| Err(Refusal::new(code, name.as_str(), sentence));
        let from = post.label(origin.atom);
        if let Some(entry) = origin.entry {
            let key = match entry.kind {
                SectionKind::JumpTable => 8,
                SectionKind::StaticCallSites => 4,
                _ => u64::MAX,
            };
            if link.offset != key {
                let table = &post.object.section(entry.section).name;
                return refuse(
                    "late-in-table",
                    format!(
                        "an entry of {table} about {from} refers to {name}, which nothing exports"
                    ),
                );
            }
            return Ok(());
        }
        if atom.kind == SectionKind::AltinstrReplacement {
            return refuse(
                "late-in-alternative",
                format!(
                    "an alternative's replacement refers to {name}, which nothing exports; it is applied before the core can fill that in"
                ),
            );
        }
        if atom.kind == SectionKind::PerCpu {
            return refuse(
                "late-in-percpu",
                format!(
                    "the new per-CPU variable {from} refers to {name}, which nothing exports; its copies are made before the core can fill that in"
                ),
            );
        }
        if alternatives_at(atom, link.offset).count() > 1 {
            return refuse(
                "late-under-alternatives",
                format!(
                    "{from} refers to {name}, which nothing exports, in an instruction that has several alternatives"
                ),
            );
        }
        Ok(())
    }

    /// `feature` of struct resplice_late for a late field: the CPU feature of
    /// the alternative that may have taken the field's place.
    pub fn feature_at(&self, origin: Origin<'_>, link: &Link) -> Option<u32> {
        let atom = &self.units[origin.unit].post.atoms[origin.atom];
        origin
            .entry
            .is_none()
            .then(|| alternatives_at(atom, link.offset).next())?
    }
}

/// The features of the alternatives that an instruction of an atom has.
pub(super) fn alternatives_at(atom: &Atom, offset: u64) -> impl Iterator<Item = u32> {
    let at = i64::try_from(offset).unwrap_or(i64::MAX);
    atom.entries
        .iter()
        .filter(|e| e.kind == SectionKind::Altinstructions)
        .filter_map(move |e| {
            let (feature, length, _) = alternative_fields(&e.bytes)?;
            let start = e.owner_offset();
            let end = start.saturating_add(i64::from(length));
            (start..end).contains(&at).then_some(feature)
        })
}
