//! From compared atoms to a plan.

use std::collections::BTreeSet;

use crate::atoms::{AtomId, Target, Unit};
use crate::compare::Comparer;
use crate::correlate::Correlation;
use crate::declare::DeclarationKind;
use crate::elf::SectionKind;
use crate::plan::{Refusal, Replaced};

use super::init::changed_exit;
use super::{State, UnitDiff};

/// What became of each atom of post. A function and its cold part change
/// together.
pub(super) fn states(pre: &Unit, post: &Unit, correlation: &Correlation) -> Vec<State> {
    let comparer = Comparer::new(pre, post, correlation);
    let mut states: Vec<State> = (0..post.atoms.len())
        .map(|id| match correlation.pre_of(id) {
            _ if post.atoms[id].is_content => State::Content,
            None => State::Added,
            Some(was) if comparer.difference(was, id).is_none() => State::Same(was),
            Some(was) => State::Changed(was),
        })
        .collect();
    let parts: Vec<(AtomId, AtomId)> = (0..post.atoms.len())
        .filter_map(|id| Some((post.atoms[id].parent?, id)))
        .collect();
    for (parent, cold) in &parts {
        if !matches!(states[*cold], State::Same(_))
            && let State::Same(was) = states[*parent]
        {
            states[*parent] = State::Changed(was);
        }
    }
    // A function whose cold part is gone.
    for (was, atom) in pre.atoms.iter().enumerate() {
        if let Some(parent) = atom.parent.and_then(|p| correlation.post_of(p))
            && correlation.post_of(was).is_none()
            && let State::Same(of) = states[parent]
        {
            states[parent] = State::Changed(of);
        }
    }
    for (parent, cold) in parts {
        if !matches!(states[parent], State::Same(_))
            && let State::Same(was) = states[cold]
        {
            states[cold] = State::Changed(was);
        }
    }
    states
}

impl UnitDiff {
    /// Fills in the plan.
    pub(super) fn describe(&mut self, correlation: &Correlation) {
        let comparer = Comparer::new(&self.pre, &self.post, correlation);
        let mut plan = std::mem::take(&mut self.plan);
        let mut replaced = Vec::new();
        let mut exchanges = Vec::new();
        for (id, state) in self.states.iter().enumerate() {
            let atom = &self.post.atoms[id];
            let label = self.post.label(id);
            match (state, role(atom.kind)) {
                (State::Same(_) | State::Content, _) | (_, Role::Follows) => {}
                (_, Role::Code) if atom.parent.is_some() => {}
                (State::Changed(was), Role::Code) => {
                    replaced.push(id);
                    plan.replaced.push(Replaced {
                        name: self.pre.label(*was),
                        unit: plan.name.clone(),
                        old_size: self.pre.atoms[*was].size,
                        new_size: atom.size,
                        reason: self.reason(&comparer, *was, id),
                        callers: self.callers(id),
                    });
                }
                (State::Added, Role::Code) => {
                    let section = &self.post.section_of(id).name;
                    if let Some(refusal) = super::reference::entry_code(&label, section) {
                        plan.refused.push(refusal);
                    }
                    plan.added.push(label);
                }
                (_, Role::Exit) => changed_exit(&self.post, id, &mut plan),
                (State::Changed(_), Role::Data)
                    if plan.declares(
                        DeclarationKind::IgnoreSection,
                        &self.post.section_of(id).name,
                    ) => {}
                (State::Changed(was), Role::Data) => {
                    match self.changed_data(&comparer, (*was, id), &mut plan) {
                        Ok(Some(exchange)) => exchanges.push(exchange),
                        Ok(None) => {}
                        Err(refusal) => plan.refused.push(refusal),
                    }
                }
                (State::Added, Role::Data) => {}
                (State::Added, Role::Init) if self.is_read_for_events(id) => {}
                (_, Role::Init) => self.changed_init(&self.post, id, &mut plan),
                // The kernel takes in the update's own static calls when it loads it.
                (State::Added, Role::StaticCall) => plan.added.push(label),
                (State::Changed(_), Role::StaticCall) => {
                    plan.refused.push(static_call_changed(&label));
                }
                // One list of all tracepoints, each of which is compared by itself.
                (State::Changed(_), Role::Other(..))
                    if self.post.section_of(id).name == "__tracepoints_ptrs" => {}
                (State::Changed(_), Role::Other(code, what)) => {
                    plan.refused.push(record(code, what, &label, "different"));
                }
                (State::Added, Role::Other(..)) if atom.kind == SectionKind::Ksymtab => {
                    let name = exported_name(&label).unwrap_or(&label);
                    plan.exports_left.push(name.to_owned());
                }
                (State::Added, Role::Other(..)) if self.tells_of_event(id) => {
                    let name = ["__tracepoint_", "__event_"]
                        .iter()
                        .find_map(|prefix| label.strip_prefix(prefix))
                        .map(str::to_owned);
                    plan.events_left
                        .extend(name.filter(|name| !plan.events_left.contains(name)));
                }
                (State::Added, Role::Other(code, what)) => {
                    plan.refused.push(self.new_record(code, what, id));
                }
            }
        }
        for was in 0..self.pre.atoms.len() {
            let atom = &self.pre.atoms[was];
            if atom.is_content || correlation.post_of(was).is_some() {
                continue;
            }
            let label = self.pre.label(was);
            match role(atom.kind) {
                Role::Code if atom.parent.is_none() => plan.removed.push(label),
                Role::Code | Role::Data | Role::StaticCall | Role::Follows => {}
                Role::Exit => changed_exit(&self.pre, was, &mut plan),
                Role::Init => self.changed_init(&self.pre, was, &mut plan),
                Role::Other(code, what) => plan.refused.push(record(code, what, &label, "gone")),
            }
        }
        self.replaced = replaced;
        self.exchanges = exchanges;
        self.plan = plan;
    }

    /// Whether an atom of post is what tracing reads of an event when an object is
    /// loaded. Without it a new event is one that nobody has enabled; its
    /// tracepoint is a variable of the new code like any other.
    fn tells_of_event(&self, id: AtomId) -> bool {
        const SECTIONS: [&str; 6] = [
            "__tracepoints",
            "__tracepoints_ptrs",
            "__tracepoints_strings",
            "__bpf_raw_tp_map",
            "_ftrace_events",
            "_ftrace_eval_map",
        ];
        SECTIONS.contains(&self.post.section_of(id).name.as_str())
    }

    /// The same of data that only such atoms refer to: names of enumerators.
    fn is_read_for_events(&self, id: AtomId) -> bool {
        let refers = |from: &AtomId| {
            let links = &self.post.atoms[*from].links;
            links.iter().any(|l| l.target == Target::Atom(id))
        };
        let mut from = (0..self.post.atoms.len()).filter(refers).peekable();
        self.post.atoms[id].kind == SectionKind::InitData
            && from.peek().is_some()
            && from.all(|from| self.tells_of_event(from))
    }

    /// Refuses a record that is only in post. One without a name is about what
    /// it points to.
    pub(crate) fn new_record(&self, code: &str, what: &str, id: AtomId) -> Refusal {
        let atom = &self.post.atoms[id];
        let named = match atom.links.first().map(|l| l.target) {
            Some(Target::Atom(target)) if atom.symbols.is_empty() => target,
            _ => id,
        };
        record(code, what, &self.post.label(named), "new")
    }

    fn reason(&self, comparer: &Comparer<'_>, was: AtomId, id: AtomId) -> String {
        if let Some(found) = comparer.difference(was, id) {
            return format!("its code {found}");
        }
        "its cold part is different".to_owned()
    }

    /// Functions of the unit that refer to an atom of post.
    fn callers(&self, id: AtomId) -> Vec<String> {
        let mut callers = BTreeSet::new();
        for (from, atom) in self.post.atoms.iter().enumerate() {
            let refers = atom.links.iter().any(|l| l.target == Target::Atom(id));
            let is_export = atom.kind == SectionKind::Ksymtab;
            if refers && !is_export && from != id && atom.parent != Some(id) {
                callers.insert(self.post.label(from));
            }
        }
        callers.into_iter().collect()
    }
}

/// What an export's record is called after.
fn exported_name(label: &str) -> Option<&str> {
    ["__ksymtab_", "__export_symbol_"]
        .iter()
        .find_map(|prefix| label.strip_prefix(prefix))
}

/// A change of what the kernel reads once, when it loads the object.
fn record(code: &str, what: &str, label: &str, how: &str) -> Refusal {
    const PREFIXES: [&str; 3] = ["__tracepoint_", "__tpstrtab_", "__bpf_trace_tp_map_"];
    let name = PREFIXES
        .iter()
        .find_map(|prefix| label.strip_prefix(prefix))
        .or_else(|| exported_name(label))
        .unwrap_or(label);
    let sentence =
        format!("{what} {name} is {how}; the kernel reads that once, when the object is loaded");
    Refusal::new(code, name, sentence)
}

fn static_call_changed(name: &str) -> Refusal {
    let sentence = format!(
        "{name} begins with another target; the running kernel has set the static call long ago"
    );
    Refusal::new("changed-static-call", name, sentence)
}

/// What a change of an atom means.
pub(crate) enum Role {
    Code,
    Data,
    Init,
    Exit,
    /// The trampoline of a static call.
    StaticCall,
    /// Says nothing by itself.
    Follows,
    /// A refusal's code, and what the thing is.
    Other(&'static str, &'static str),
}

pub(crate) fn role(kind: SectionKind) -> Role {
    use SectionKind::*;
    match kind {
        Text | AltinstrAux | AltinstrReplacement => Role::Code,
        StaticCallText => Role::StaticCall,
        InitText | InitData => Role::Init,
        ExitText | ExitData => Role::Exit,
        Ksymtab => Role::Other("changed-export", "the export"),
        // What belongs to an export comes and goes with it.
        KsymtabStrings | Kcrctab => Role::Follows,
        // Read by themselves.
        Hook | Declare => Role::Follows,
        Modinfo => Role::Other("changed-modinfo", "the module information"),
        Param => Role::Other("changed-parameter", "the module parameter"),
        Tracepoints | FtraceEvents => Role::Other("changed-tracepoint", "the tracepoint record"),
        SyscallsMetadata => Role::Other("changed-syscall", "the system call's description"),
        ErrorInjection => Role::Other("changed-error-injection", "the error injection entry"),
        PciFixup => Role::Other("changed-pci-fixup", "the PCI fix-up"),
        SrcuPointers => Role::Other("changed-srcu", "the static SRCU structure"),
        ThisModule => Role::Other("changed-module", "the module structure"),
        BtfIds => Role::Other("changed-btf-ids", "the BTF id set"),
        _ => Role::Data,
    }
}
