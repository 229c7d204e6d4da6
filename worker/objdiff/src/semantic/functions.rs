//! Replaced functions: who they are, what they absorbed, what they lock, and
//! how they are called.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::elf::{Binding, Object, Reloc, SectionId, SectionKind, SymbolKind};
use crate::names;
use crate::plan::UnitPlan;

use super::code::{Code, FunctionCode};
use super::finding::{Finding, FunctionFacts, Scope, Severity};
use super::layout::{Layouts, Likeness};
use super::model::{FunctionId, Model};
use super::{INCONSISTENT, LineRange, locks, threads};

/// A unit before and after, with all that is known of it.
pub(super) struct UnitView<'v, 'd> {
    pub plan: &'v UnitPlan,
    pub layouts: &'v Layouts<'v, 'd>,
    pub pre: &'v Object,
    pub post: &'v Object,
    pub pre_code: &'v Code,
    pub post_code: &'v Code,
    pub touched: &'v [LineRange],
}

impl UnitView<'_, '_> {
    fn is_replaced(&self, name: &str) -> bool {
        self.plan.replaced.iter().any(|f| f.name == name)
    }

    /// The plan's functions with what the reviewer wants to know.
    pub fn facts(&self) -> Vec<FunctionFacts> {
        let pre = self.layouts.pre;
        let by_symbol = pre.by_symbol();
        let touched = self.touched_functions();
        let taken = addresses_taken(self.pre);
        let exported = exports(self.pre);
        let index = inline_index(pre);
        let absorbed = absorbed(&index, &touched);
        let facts = self.plan.replaced.iter().map(|function| {
            let told = by_symbol
                .get(function.name.as_str())
                .map(|id| pre.told(*id));
            let source = names::source_function(&function.name);
            let is_global = self
                .pre
                .symbols
                .iter()
                .any(|s| s.name == function.name && s.binding != Binding::Local);
            FunctionFacts {
                name: function.name.clone(),
                unit: function.unit.clone(),
                file: told.map_or(String::new(), |t| t.position.file.to_string()),
                line: told.map_or(0, |t| t.position.line),
                reason: function.reason.clone(),
                old_size: function.old_size,
                new_size: function.new_size,
                scope: match (exported.contains(source), is_global) {
                    (true, _) => Scope::Exported,
                    (false, true) => Scope::Global,
                    (false, false) => Scope::Static,
                },
                is_address_taken: taken.contains(function.name.as_str()),
                callers: function.callers.clone(),
                absorbs: list(absorbed.get(function.name.as_str()), source),
                inlined_into: list(index.get(source), &function.name),
            }
        });
        facts.collect()
    }

    /// Functions of pre that the patch's hunks lie in: per file the last one
    /// that begins before the line.
    fn touched_functions(&self) -> BTreeSet<&str> {
        let pre = self.layouts.pre;
        let mut found = BTreeSet::new();
        for range in self.touched {
            let mut starts: Vec<(u64, &str)> = pre
                .functions
                .iter()
                .filter(|f| *f.position.file == *range.file && !f.is_declaration)
                .filter_map(|f| Some((f.position.line, f.name?)))
                .collect();
            starts.sort_unstable();
            let before = starts.partition_point(|(line, _)| *line <= range.first);
            let until = starts.partition_point(|(line, _)| *line <= range.last);
            found.extend(
                starts[before.saturating_sub(1)..until]
                    .iter()
                    .map(|(_, name)| *name),
            );
        }
        found
    }

    /// Functions with the touched ones inside that stay: their code is the same.
    pub fn unchanged_absorbers(&self, findings: &mut Vec<Finding>) {
        let touched = self.touched_functions();
        let index = inline_index(self.layouts.pre);
        for (symbol, inside) in absorbed(&index, &touched) {
            let stays = !self.is_replaced(symbol)
                && !self.plan.removed.iter().any(|name| name == symbol)
                && is_resident(self.pre, symbol)
                && is_resident(self.post, symbol);
            for name in inside.into_iter().filter(|_| stays) {
                let sentence = format!(
                    "{symbol} contains {name}, which the patch touches, but its code is byte for byte the same, so that it stays"
                );
                findings.push(self.finding(Severity::Info, "inlined-unchanged", symbol, sentence));
            }
        }
    }

    /// Differencing must have replaced whatever changed its size.
    pub fn sizes_agree(&self, findings: &mut Vec<Finding>) {
        let before: BTreeMap<&str, u64> = function_sizes(self.pre).collect();
        let exchanged = self.replaced_places();
        for (name, size) in function_sizes(self.post) {
            let owner = names::cold_parent(name).unwrap_or(name);
            let Some(was) = before.get(name).filter(|was| **was != size) else {
                continue;
            };
            if names::is_numbered(name) || self.is_replaced(owner) {
                continue;
            }
            if places(self.pre, name).any(|place| exchanged.contains(&place)) {
                continue;
            }
            let sentence = format!(
                "{name} has {was} bytes before and {size} after the change but is not replaced: differencing missed it; report this as an error of Resplice"
            );
            findings.push(self.finding(Severity::NeedsCode, INCONSISTENT, name, sentence));
        }
    }

    /// Where replaced functions begin, which may have other names there too: equal
    /// functions are merged by the compiler.
    fn replaced_places(&self) -> HashSet<(SectionId, u64)> {
        let functions = self.pre.symbols.iter().filter(|s| s.is_function());
        functions
            .filter(|symbol| self.is_replaced(&symbol.name))
            .filter_map(|symbol| Some((symbol.section()?, symbol.value)))
            .collect()
    }

    /// Functions that are called in another way than before.
    pub fn signatures(&self, findings: &mut Vec<Finding>) {
        let (pre, post) = (self.layouts.pre, self.layouts.post);
        let mut before = BTreeMap::new();
        for function in pre.functions.iter().filter(|f| !f.is_declaration) {
            if let Some(name) = function.name {
                before.entry(name).or_insert(function);
            }
        }
        let taken = addresses_taken(self.pre);
        let mut seen = HashSet::new();
        for function in post.functions.iter().filter(|f| !f.is_declaration) {
            let Some(name) = function.name.filter(|name| seen.insert(*name)) else {
                continue;
            };
            let Some(was) = before.get(name) else {
                continue;
            };
            let like = self
                .layouts
                .like_signatures(&was.signature, &function.signature);
            let (severity, who) = match (like, was.is_external, taken.contains(name)) {
                (Likeness::Same, _, _) => continue,
                (Likeness::Representation, _, _) => (Severity::Info, "the registers are the same"),
                (_, true, _) => (
                    Severity::Review,
                    "callers in other units must be replaced with it: see that the patch's header reaches them all",
                ),
                (_, false, true) => (
                    Severity::Review,
                    "its address is taken: see that nothing unreplaced calls it through a pointer",
                ),
                (_, false, false) => (Severity::Info, "it is static and only called by name"),
            };
            let sentence = format!(
                "was `{}`, is `{}`; {who}",
                pre.spell_function(name, &was.signature),
                post.spell_function(name, &function.signature),
            );
            let mut finding = self.finding(severity, "signature-changed", name, sentence);
            finding.file = was.position.file.to_string();
            finding.line = was.position.line;
            findings.push(finding);
        }
    }

    /// Locking and counting calls gained or lost by replaced functions.
    pub fn locking(&self, findings: &mut Vec<Finding>) {
        for function in &self.plan.replaced {
            let before = called(self.pre_code, self.layouts.pre, &function.name);
            let after = called(self.post_code, self.layouts.post, &function.name);
            if let Some((severity, sentence)) = locks::difference(&before, &after) {
                findings.push(self.finding(severity, "locking-changed", &function.name, sentence));
            }
        }
    }

    /// Functions that a thread may be in for as long as the machine runs.
    pub fn threads(&self, findings: &mut Vec<Finding>) {
        for (name, by) in threads::started(self.pre) {
            if !self.is_replaced(name) {
                continue;
            }
            let sentence = format!(
                "{name} is what a kernel thread runs that {by} starts: if the thread never leaves it, the update is refused as busy for as long as it runs"
            );
            findings.push(self.finding(Severity::Review, "kernel-thread", name, sentence));
        }
    }

    /// Initialisation that is another one only by what it uses.
    pub fn init_code(&self, findings: &mut Vec<Finding>) {
        for name in &self.plan.init_changed {
            let sentence =
                "it is initialisation, which has run: what it did stays as it is".to_owned();
            findings.push(self.finding(Severity::Info, "init-left", name, sentence));
        }
    }

    /// Code that runs on the way out.
    pub fn exit_code(&self, findings: &mut Vec<Finding>) {
        // What is refused is told there.
        let is_refused = |name: &str| {
            let refused = self.plan.refused.iter();
            refused
                .filter(|r| r.code == "exit-changed")
                .any(|r| r.object == name)
        };
        let changed = self.plan.exit_changed.iter();
        for name in changed.filter(|name| !is_refused(name)) {
            let sentence =
                "it runs as the object goes, and the running one's is not replaced: undo it, and nothing may be left that only the new exit would have cleaned up"
                    .to_owned();
            findings.push(self.finding(Severity::Review, "exit-changed", name, sentence));
        }
    }

    fn finding(&self, severity: Severity, code: &str, object: &str, sentence: String) -> Finding {
        let by_symbol = self.layouts.pre.by_symbol();
        let told = by_symbol.get(object).map(|id| self.layouts.pre.told(*id));
        Finding {
            severity,
            code: code.to_owned(),
            object: object.to_owned(),
            unit: self.plan.name.clone(),
            file: told.map_or(String::new(), |t| t.position.file.to_string()),
            line: told.map_or(0, |t| t.position.line),
            sentence,
            layout: None,
        }
    }
}

/// All that is inlined into a function, whatever is inside of it too.
pub(super) fn inlined_closure(model: &Model<'_>, id: FunctionId) -> BTreeSet<FunctionId> {
    let mut found = BTreeSet::new();
    let mut open = vec![id];
    while let Some(at) = open.pop() {
        for inner in &model.functions[at].inlined {
            if found.insert(*inner) {
                open.push(*inner);
            }
        }
    }
    found
}

/// Functions by name, with the symbols whose code contains them inlined.
fn inline_index<'m>(model: &'m Model<'_>) -> BTreeMap<&'m str, BTreeSet<&'m str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (symbol, id) in model.by_symbol() {
        for inner in inlined_closure(model, id) {
            if let Some(name) = model.function_name(inner) {
                found.entry(name).or_default().insert(symbol);
            }
        }
    }
    found
}

/// Per symbol: which of these functions were inlined into it.
fn absorbed<'m>(
    index: &BTreeMap<&'m str, BTreeSet<&'m str>>,
    which: &BTreeSet<&'m str>,
) -> BTreeMap<&'m str, BTreeSet<&'m str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for name in which {
        for symbol in index.get(name).into_iter().flatten() {
            found.entry(symbol).or_default().insert(name);
        }
    }
    found
}

fn list(names: Option<&BTreeSet<&str>>, but: &str) -> Vec<String> {
    let all = names.into_iter().flatten().filter(|name| **name != but);
    all.map(|name| (*name).to_owned()).collect()
}

/// What a function calls by name or has inlined.
fn called(code: &Code, model: &Model<'_>, symbol: &str) -> BTreeSet<String> {
    let calls = |function: &FunctionCode| -> Vec<String> {
        function.calls.iter().map(|c| c.callee.clone()).collect()
    };
    let mut names: BTreeSet<String> = code
        .functions
        .get(symbol)
        .map(calls)
        .unwrap_or_default()
        .into_iter()
        .collect();
    if let Some(id) = model.by_symbol().get(symbol) {
        let inlined = inlined_closure(model, *id).into_iter();
        names.extend(inlined.filter_map(|id| model.function_name(id).map(str::to_owned)));
    }
    names
}

fn function_sizes(object: &Object) -> impl Iterator<Item = (&str, u64)> {
    object
        .symbols
        .iter()
        .filter(|s| s.is_function() && s.size > 0)
        .filter(|s| {
            let section = s.section().map(|id| object.section(id).kind);
            section.is_some_and(SectionKind::is_resident_text)
        })
        .map(|s| (s.name.as_str(), s.size))
}

/// Where functions of that name begin.
fn places<'o>(object: &'o Object, name: &'o str) -> impl Iterator<Item = (SectionId, u64)> + 'o {
    object
        .symbols
        .iter()
        .filter(move |symbol| symbol.is_function() && symbol.name == name)
        .filter_map(|symbol| Some((symbol.section()?, symbol.value)))
}

fn is_resident(object: &Object, name: &str) -> bool {
    function_sizes(object).any(|(symbol, _)| symbol == name)
}

/// Functions of which something other than a branch holds the address.
fn addresses_taken(object: &Object) -> HashSet<&str> {
    use SectionKind::{Data, DataOnce, PerCpu, RoAfterInit, Rodata};
    let mut taken = HashSet::new();
    for section in &object.sections {
        let is_data = matches!(
            section.kind,
            Data | DataOnce | PerCpu | RoAfterInit | Rodata
        );
        if !is_data && !section.kind.is_resident_text() {
            continue;
        }
        for reloc in &section.relocs {
            let symbol = object.symbol(reloc.symbol);
            let name = match symbol.kind {
                SymbolKind::Function => Some(symbol.name.as_str()),
                SymbolKind::Section => function_at(object, reloc),
                _ => None,
            };
            let leads = is_data || is_value(section.bytes.as_slice(), reloc);
            taken.extend(name.filter(|_| leads));
        }
    }
    taken
}

/// A function of which the reloc holds the very first byte's address.
pub(super) fn function_at<'o>(object: &'o Object, reloc: &Reloc) -> Option<&'o str> {
    let place = object.reloc_place(reloc)?;
    let symbol = object.symbol_covering(place)?;
    (symbol.is_function() && symbol.value == place.offset).then_some(symbol.name.as_str())
}

/// In code: an absolute field, or a relative one that no call or jump has.
pub(super) fn is_value(bytes: &[u8], reloc: &Reloc) -> bool {
    if !reloc.kind.is_relative() {
        return true;
    }
    let before = usize::try_from(reloc.offset).ok().and_then(|at| {
        let one = *bytes.get(at.checked_sub(1)?)?;
        Some((at.checked_sub(2).and_then(|at| bytes.get(at)).copied(), one))
    });
    !matches!(before, Some((_, 0xe8 | 0xe9) | (Some(0x0f), 0x80..=0x8f)))
}

fn exports(object: &Object) -> HashSet<&str> {
    let kinds = object.sections_of(SectionKind::Ksymtab);
    kinds
        .flat_map(|section| {
            let named = section.name.split_once('+').map(|(_, name)| name);
            let labels = object.symbols_in(section.id);
            let labels = labels.filter_map(|s| s.name.strip_prefix("__export_symbol_"));
            named.into_iter().chain(labels)
        })
        .collect()
}
